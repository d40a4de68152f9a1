"""The calls of `Client`, and functions decorated with `@function`."""

import concurrent.futures
import subprocess
import sys
import time
import unittest

import functions

import mpcsfaas
from mpcsfaas import Client, Executor

SUBMIT_AND_DIE = """
import os
import functions
from mpcsfaas import Executor
executor = Executor()
futures = [executor.submit(functions.nap, 0.3, number) for number in range(8)]
while not all(future.task_id for future in futures):
    pass
print(executor.group_id, flush=True)
os._exit(9)
"""


class Calls(unittest.TestCase):
    def setUp(self):
        self.client = Client()
        self.addCleanup(self.client.close)

    def test_run_submit_and_map(self):
        self.assertEqual(self.client.run(pow, 2, 5), 32)
        self.assertEqual(self.client.submit(pow, 2, 5).result(10), 32)
        self.assertEqual(list(self.client.map(abs, [-1, 2])), [1, 2])
        self.assertEqual(self.client.options(timeout=9).submit(pow, 2, 5).result(10), 32)

    def test_registering_twice_is_once(self):
        self.assertEqual(self.client.register(functions.add), self.client.register(functions.add))
        self.assertEqual(self.client.function(self.client.register(functions.add))["name"], "add")

    def test_results_by_id(self):
        futures = [self.client.submit(functions.nap, 0.05 * (3 - n), n) for n in range(3)]
        self.assertEqual([future.result(10) for future in futures], [0, 1, 2])
        ids = [future.task_id for future in futures]
        self.assertEqual(self.client.results(ids, 10), [0, 1, 2])
        self.assertEqual(self.client.result(ids[2]), 2)
        self.assertEqual(sorted(one.index for one in self.client.as_completed(ids)), [0, 1, 2])
        self.assertEqual(self.client.status(ids[0]), "COMPLETED")

    def test_results_with_errors_among_them(self):
        good, bad = self.client.submit(functions.same, 1), self.client.submit(functions.fail, "x")
        concurrent.futures.wait([good, bad], 10)
        bad_id, good_id = bad.task_id, good.task_id
        error, value = self.client.results([bad_id, good_id], 10, return_exceptions=True)
        self.assertEqual((type(error), value), (ValueError, 1))
        with self.assertRaises(ValueError):
            self.client.results([bad_id, good_id], 10)

    def test_waiting_for_results_takes_no_longer_than_told(self):
        future = self.client.submit(functions.nap, 30)
        while future.task_id is None:
            time.sleep(0.01)
        with self.assertRaises(TimeoutError):
            self.client.result(future.task_id, 0.2)
        self.assertEqual(self.client.cancel(future.task_id), 1)
        self.assertEqual(self.client.cancel(future.task_id), 0)
        with self.assertRaises(mpcsfaas.TaskUnknown):
            self.client.cancel("6b1c3c5e-5d0c-4b5e-9b3f-1f6f0f6f2a11")

    def test_cancelling_very_many_and_none(self):
        delayed = [self.client.options(delay=600).submit(functions.same, n) for n in range(1_500)]
        ids = [future.reference_id() for future in delayed]
        self.assertEqual(self.client.cancel(*ids), 1_500)
        self.assertEqual(self.client.cancel(*ids), 0)
        self.assertEqual(self.client.cancel(), 0)

    def test_an_id_is_never_a_path(self):
        for wrong in ("../stats", "x/../../stats", "..", ".", "a?b", "a#b", "a/b", "%2e%2e"):
            for ask in (
                *(self.client.task, self.client.status, self.client.function, self.client.run_again),
                *(self.client.drain_worker, self.client.drain_dispatcher, self.client.printed),
                lambda text: self.client.group(text).progress(),
            ):
                with self.subTest(wrong), self.assertRaises((mpcsfaas.NotFound, mpcsfaas.InvalidRequest)):
                    ask(wrong)

    def test_a_story_and_its_explanation(self):
        future = self.client.submit(functions.fail, "because")
        future.exception(10)
        story = self.client.task(future.task_id)
        self.assertEqual((story["status"], story["attempts"]), ("FAILED", 1))
        self.assertIn("raised ValueError: because", self.client.explain(future.task_id))
        done = self.client.submit(functions.same, 1)
        done.result(10)
        self.assertIn("It completed on worker", self.client.explain(done.task_id))

    def test_a_delayed_task_says_so(self):
        future = self.client.options(delay=60).submit(functions.same, 1)
        while future.task_id is None:
            time.sleep(0.01)
        self.assertRegex(self.client.explain(future.task_id), r"^It is delayed until 20.*\.$")
        future.cancel()

    def test_a_task_that_needs_another_says_so(self):
        first = self.client.options(delay=60).submit(functions.same, 1)
        second = self.client.submit(functions.add, first)
        while second.task_id is None:
            time.sleep(0.01)
        self.assertRegex(self.client.explain(second.task_id), r"^It waits for .*\.$")
        first.cancel()
        self.assertIsInstance(second.exception(10), mpcsfaas.DependencyFailed)

    def test_a_running_task_says_so(self):
        future = self.client.submit(functions.long_nap, 30)
        while not future.running():
            time.sleep(0.01)
        self.assertRegex(self.client.explain(future.task_id), r"^It runs.*, since 20.*\.$")
        future.cancel()

    def test_workers_and_dispatchers(self):
        (worker, *_) = self.client.workers()
        self.assertIn("python_version", worker)
        (dispatcher, *_) = self.client.dispatchers()
        self.assertGreaterEqual(dispatcher["slots"], 1)
        with self.assertRaises(mpcsfaas.NotFound):
            self.client.drain_worker("nobody")
        with self.assertRaises(mpcsfaas.NotFound):
            self.client.drain_dispatcher("nobody")

    def test_lists(self):
        futures = [self.client.submit(functions.fail, "listed") for _ in range(250)]
        concurrent.futures.wait(futures, 30)
        ids = [future.task_id for future in futures]
        function_id = self.client.register(functions.fail)
        found = list(self.client.tasks(status="FAILED", function=function_id, failure="UserException"))
        # Newest first; tasks of one batch are as old as each other.
        self.assertEqual({task["task_id"] for task in found[:250]}, set(ids))
        self.assertEqual(len({task["task_id"] for task in found}), len(found))
        self.assertEqual(len(list(self.client.tasks(limit=7))), 7)
        self.assertIn("fail", {one["name"] for one in self.client.functions()})

    def test_a_list_goes_on_over_pages_with_nothing_in_them(self):
        rare = [self.client.submit(functions.rare, number) for number in range(3)]
        concurrent.futures.wait(rare, 30)
        # Among so many the API does not find them in one look.
        self.assertEqual(sum(self.client.map(abs, range(10_500))), sum(range(10_500)))
        found = self.client.tasks(function=self.client.register(functions.rare))
        self.assertEqual({task["task_id"] for task in found}, {future.task_id for future in rare})

    def test_running_again(self):
        future = self.client.submit(functions.fail, "again")
        future.exception(10)
        with self.assertRaises(ValueError):
            self.client.result(self.client.run_again(future.task_id), 10)
        self.assertTrue(self.client.run_failed_again(failure="UserException", limit=1))

    def test_running_again_more_than_one_request_does(self):
        concurrent.futures.wait([self.client.submit(functions.fail_often, n) for n in range(1_005)], 60)
        which = {"failure": "UserException", "function": self.client.register(functions.fail_often)}
        every = self.client.run_failed_again(**which)
        self.assertEqual((every["count"], every["cursor"]), (1_005, None))
        self.client.results(every["task_ids"], 60, return_exceptions=True)
        some = self.client.run_failed_again(**which, limit=1_001)
        self.assertEqual(
            (some["count"], len(set(some["task_ids"])), len(some["group_ids"])), (1_001, 1_001, 2)
        )
        self.assertEqual(self.client.run_failed_again(limit=0)["count"], 0)

    def test_what_a_task_prints(self):
        future = self.client.submit(functions.speak, 10)
        future.result(10)
        lines = list(self.client.logs(future.task_id))
        expected = [*(f"line {n}\n" for n in range(2)), "to stderr\n", *(f"line {n}\n" for n in range(2, 10))]
        self.assertEqual([line.text for line in lines], expected)
        self.assertEqual([line.stream for line in lines].count("stderr"), 1)
        self.assertEqual(self.client.printed(future.task_id), "".join(expected))

    def test_very_many_lines_are_printed_whole(self):
        future = self.client.submit(functions.speak_lines, 120_000)
        future.result(30)
        self.assertEqual(self.client.printed(future.task_id).count("\n"), 120_000)
        self.assertEqual(sum(1 for _ in self.client.logs(future.task_id, follow=True)), 120_000)

    def test_what_a_task_prints_as_it_does(self):
        future = self.client.submit(functions.speak, 5, 0.3)
        while future.task_id is None:
            time.sleep(0.01)
        came = [(line.text, future.done()) for line in self.client.logs(future.task_id, follow=True)]
        self.assertEqual(len(came), 6)
        self.assertFalse(came[0][1])
        self.assertEqual(future.result(10), 5)

    def test_from_another_process_after_a_crash(self):
        died = subprocess.run(
            [sys.executable, "-c", SUBMIT_AND_DIE], capture_output=True, text=True, timeout=60
        )
        self.assertEqual(died.returncode, 9, died.stderr)
        group = self.client.group(died.stdout.strip())
        self.assertEqual(group.progress()["total"], 8)
        seen = {result.index: result.result() for result in group.results(20)}
        self.assertEqual(seen, {number: number for number in range(8)})
        self.assertEqual(group.values(10), list(range(8)))

    def test_a_group_ends_with_its_executor(self):
        with Executor() as executor:
            futures = [executor.submit(functions.same, number) for number in range(5)]
        group = self.client.group(executor.group_id)
        self.assertEqual(len(list(group.results(10, follow=True))), len(futures))
        self.assertTrue(group.progress()["closed"])

    def test_cancelling_a_group(self):
        executor = Executor()
        futures = [executor.submit(functions.nap, 30) for _ in range(5)]
        while not all(future.task_id for future in futures):
            time.sleep(0.01)
        group = self.client.group(executor.group_id)
        with self.assertRaises(TimeoutError):
            list(group.results(0.2))
        self.assertEqual(group.cancel(), 5)
        executor.shutdown()
        self.assertTrue(all(future.cancelled() for future in futures))

    def test_an_unknown_group(self):
        with self.assertRaises(mpcsfaas.NotFound):
            list(self.client.group("6b1c3c5e-5d0c-4b5e-9b3f-1f6f0f6f2a11"))


@mpcsfaas.function
def square(number):
    return number * number


@mpcsfaas.function(timeout=0.2)
def rest(seconds):
    time.sleep(seconds)


@mpcsfaas.function
def factorial(number):
    return 1 if number == 0 else number * factorial(number - 1)


class Decorated(unittest.TestCase):
    def test_here_and_there(self):
        self.assertEqual((square(3), square.local(3), square.remote(3).result(10)), (9, 9, 9))
        self.assertEqual(list(square.map(range(5))), [0, 1, 4, 9, 16])
        self.assertEqual(square.__name__, "square")

    def test_options(self):
        self.assertIsInstance(rest.remote(30).exception(10), TimeoutError)
        self.assertIsNone(rest.options(timeout=20).remote(0.3).result(10))

    def test_a_function_that_calls_itself(self):
        self.assertEqual(factorial.remote(10).result(10), 3628800)

    def test_another_executor(self):
        with Executor() as executor:
            cube = mpcsfaas.function(executor=executor)(_cube)
            self.assertEqual(cube.remote(3).result(10), 27)


def _cube(number):
    return number**3
