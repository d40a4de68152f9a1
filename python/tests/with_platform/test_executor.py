"""The behaviours of the standard library's executors, on ours: submitting, shutting down, standing in for them."""

import concurrent.futures
import functools
import gc
import operator
import os
import sys
import threading
import time
import unittest
import weakref

import functions
from with_executor import WithExecutor, new_gate

from mpcsfaas import Executor, PlatformUnreachable


class Submitting(WithExecutor):
    def test_it_is_an_executor_and_its_futures_are_futures(self):
        self.assertIsInstance(self.executor, concurrent.futures.Executor)
        self.assertIsInstance(self.executor.submit(pow, 2, 3), concurrent.futures.Future)

    def test_positional_and_keyword_arguments(self):
        self.assertEqual(self.executor.submit(pow, 2, 8).result(10), 256)
        self.assertEqual(self.executor.submit(int, "11", base=2).result(10), 3)
        self.assertEqual(self.executor.submit(dict, self=1, fn=2).result(10), {"self": 1, "fn": 2})

    def test_lambdas_closures_partials_methods_and_callable_objects(self):
        factor = 3
        calls = [
            (lambda x: x * factor, (5,), 15),
            (functools.partial(pow, 2), (5,), 32),
            ("a,b".split, (",",), ["a", "b"]),
            (operator.itemgetter(1), ("xyz",), "y"),
        ]
        for function, args, expected in calls:
            self.assertEqual(self.executor.submit(function, *args).result(10), expected)

    def test_a_closure_that_has_changed_is_sent_again(self):
        number = 1

        def get():
            return number

        self.assertEqual(self.executor.submit(get).result(10), 1)
        number = 2
        self.assertEqual(self.executor.submit(get).result(10), 2)

    def test_what_cannot_be_pickled_fails_the_future(self):
        future = self.executor.submit(functions.same, (number for number in range(3)))
        self.assertIsInstance(future.exception(10), TypeError)
        # The next is unharmed.
        self.assertEqual(self.executor.submit(functions.same, 1).result(10), 1)

    def test_a_function_that_cannot_be_pickled_says_which_part_of_it(self):
        frame = sys._getframe()
        error = self.executor.submit(lambda: frame).exception(10)
        self.assertIsInstance(error, TypeError)
        self.assertIn("cannot be sent", str(error))

    def test_after_shutdown_it_raises_runtime_error(self):
        self.executor.shutdown()
        with self.assertRaises(RuntimeError):
            self.executor.submit(pow, 2, 5)
        with self.assertRaises(RuntimeError):
            list(self.executor.map(abs, [1]))

    def test_ten_thousand_outstanding_futures(self):
        futures = [self.executor.submit(functions.same, number) for number in range(10_000)]
        self.assertEqual([future.result(60) for future in futures], list(range(10_000)))
        self.assertEqual(len({future.task_id for future in futures}), 10_000)

    def test_many_threads_submit_at_once(self):
        with concurrent.futures.ThreadPoolExecutor(20) as threads:
            futures = list(threads.map(lambda n: self.executor.submit(functions.same, n), range(1000)))
        self.assertEqual([future.result(30) for future in futures], list(range(1000)))

    def test_large_arguments_and_results(self):
        data = os.urandom(20 << 20)
        futures = [self.executor.submit(functions.same, data) for _ in range(3)]
        for future in futures:
            self.assertTrue(future.result(60) == data)

    def test_results_are_not_kept_by_the_executor(self):
        class Big(bytes):
            pass

        future = self.executor.submit(Big, b"x")
        future.result(10)
        gone = weakref.ref(future)
        del future
        deadline = time.monotonic() + 5
        while gone() is not None and time.monotonic() < deadline:
            gc.collect()
            time.sleep(0.01)
        self.assertIsNone(gone())


class ShuttingDown(WithExecutor):
    def test_it_waits_for_what_runs(self):
        future = self.executor.submit(functions.nap, 0.5, 1)
        self.executor.shutdown()
        self.assertTrue(future.done())

    def test_without_waiting_the_tasks_go_on(self):
        with new_gate() as gate:
            future = self.executor.submit(functions.hold, gate, 1)
            self.executor.shutdown(wait=False)
            self.assertFalse(future.done())
            gate.touch()
            self.assertEqual(future.result(10), 1)

    def test_the_context_manager_waits(self):
        with Executor() as executor:
            future = executor.submit(functions.nap, 0.3, 1)
        self.assertTrue(future.done())

    def test_cancel_futures_cancels_what_does_not_run(self):
        # A function known as short is sent ahead to workers, where it counts as running.
        futures = [self.executor.submit(functions.long_nap, 0.3) for _ in range(50)]
        concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_COMPLETED, timeout=20)
        self.executor.shutdown(cancel_futures=True)
        cancelled = [future for future in futures if future.cancelled()]
        others = [future for future in futures if not future.cancelled()]
        self.assertGreaterEqual(len(cancelled), 20)
        self.assertGreaterEqual(len(others), 1)
        self.assertTrue(all(future.done() and future.exception() is None for future in others))

    def test_twice_is_once(self):
        self.executor.shutdown()
        self.executor.shutdown()

    def test_without_any_task(self):
        Executor().shutdown()

    def test_its_threads_end(self):
        executor = Executor()
        executor.submit(functions.same, 1).result(10)
        executor.shutdown()
        names = [thread.name for thread in threading.enumerate()]
        group = executor.group_id[:8]
        self.assertNotIn(f"mpcsfaas-results-{group}", names)

    def test_a_forgotten_executor_lets_its_threads_go(self):
        executor = Executor()
        executor.submit(functions.same, 1).result(10)
        name = f"mpcsfaas-results-{executor.group_id[:8]}"
        del executor
        deadline = time.monotonic() + 20
        while name in [thread.name for thread in threading.enumerate()] and time.monotonic() < deadline:
            gc.collect()
            time.sleep(0.05)
        self.assertNotIn(name, [thread.name for thread in threading.enumerate()])


class StandingIn(unittest.TestCase):
    """For `ProcessPoolExecutor`, whose parameters programs use."""

    def test_its_parameters_are_taken(self):
        import multiprocessing

        with Executor(4, multiprocessing.get_context("spawn"), max_tasks_per_child=10) as executor:
            self.assertEqual(executor.submit(pow, 2, 3).result(10), 8)
        with Executor(max_workers=2) as executor:
            self.assertEqual(executor.submit(pow, 2, 3).result(10), 8)

    def test_wrong_ones_are_refused(self):
        with self.assertRaises(ValueError):
            Executor(max_workers=0)
        with self.assertRaises(TypeError):
            Executor(initializer=1)

    def test_an_initializer_runs_before_the_first_task_of_a_process(self):
        with Executor(initializer=_remember, initargs=(100,)) as executor:
            self.assertEqual(list(executor.map(_remembered_plus, range(20))), list(range(100, 120)))
            self.assertEqual(
                list(executor.map(_remembered_plus, range(20), chunksize=6)), list(range(100, 120))
            )

    def test_an_initializer_that_fails_fails_the_tasks(self):
        with Executor(initializer=functions.fail, initargs=("not today",)) as executor:
            self.assertIsInstance(executor.submit(pow, 2, 3).exception(10), ValueError)


def _remember(value):
    global _value
    _value = value


def _remembered_plus(number):
    return _value + number


class Unreachable(unittest.TestCase):
    def test_futures_fail_with_words_when_nobody_answers_in_time(self):
        executor = Executor(url="http://127.0.0.1:9", timeout=0.3)
        future = executor.submit(pow, 2, 3)
        with self.assertRaises(PlatformUnreachable) as caught:
            future.result(10)
        self.assertIn("http://127.0.0.1:9", str(caught.exception))
        self.assertIsInstance(caught.exception, ConnectionError)
        executor.shutdown()
