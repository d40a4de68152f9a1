"""Values of other tasks as arguments."""

import unittest

import functions

import mpcsfaas
from mpcsfaas import AsyncExecutor, Executor


class Dependencies(unittest.TestCase):
    def setUp(self):
        self.executor = Executor()
        self.addCleanup(self.executor.shutdown, cancel_futures=True)

    def test_a_future_stands_for_its_value(self):
        first = self.executor.submit(functions.nap, 0.2, 20)
        self.assertEqual(self.executor.submit(functions.add, first, 22).result(20), 42)

    def test_futures_inside_of_arguments(self):
        parts = [self.executor.submit(functions.same, number) for number in range(10)]
        total = self.executor.submit(sum, parts)
        self.assertEqual(
            self.executor.submit(dict, parts=parts, total=total).result(20),
            {"parts": list(range(10)), "total": 45},
        )

    def test_with_what_only_dill_can_carry(self):
        first = self.executor.submit(functions.same, 2)
        self.assertEqual(self.executor.submit(lambda f, x: f(x), lambda x: x * 21, first).result(20), 42)

    def test_a_long_chain(self):
        future = self.executor.submit(functions.same, 0)
        for _ in range(30):
            future = self.executor.submit(functions.add, future, 1)
        self.assertEqual(future.result(30), 30)

    def test_a_tree(self):
        level = [self.executor.submit(functions.same, number) for number in range(64)]
        while len(level) > 1:
            level = [self.executor.submit(functions.add, *pair) for pair in zip(level[::2], level[1::2])]
        self.assertEqual(level[0].result(30), sum(range(64)))

    def test_of_another_executor(self):
        with Executor() as other:
            first = other.submit(functions.nap, 0.2, 5)
            self.assertEqual(self.executor.submit(functions.add, first, 1).result(20), 6)

    def test_a_dependency_that_failed(self):
        bad = self.executor.submit(functions.fail, "x")
        error = self.executor.submit(functions.add, 1, bad).exception(30)
        self.assertIsInstance(error, mpcsfaas.DependencyFailed)
        self.assertIsInstance(error, RuntimeError)


class AsyncDependencies(unittest.IsolatedAsyncioTestCase):
    async def test_tasks_as_arguments(self):
        async with AsyncExecutor() as executor:
            first = executor.submit(functions.nap, 0.1, 20)
            self.assertEqual(await executor.submit(functions.add, first, 22), 42)
