"""Options of tasks: retries, delays, priorities, lifetimes."""

import concurrent.futures
import os
import tempfile
import time
import unittest

import functions

from mpcsfaas import Client, Executor, Retry, TaskOptions


class Options(unittest.TestCase):
    def setUp(self):
        self.executor = Executor()
        self.addCleanup(self.executor.shutdown, cancel_futures=True)
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.file = os.path.join(self.folder.name, "calls")

    def test_a_retry_runs_what_raised_again(self):
        retry = Retry(max_retries=5, backoff=0.01, on=[ConnectionError])
        future = self.executor.options(retry=retry).submit(functions.count_and_fail, self.file, 3)
        self.assertEqual(future.result(20), 3)

    def test_a_number_is_short_for_a_retry(self):
        options = TaskOptions(retry=2)
        self.assertEqual(options.fields()["retry"]["max_retries"], 2)

    def test_other_exceptions_are_not_tried_again(self):
        retry = Retry(max_retries=5, backoff=0.01, on=["KeyError"])
        future = self.executor.options(retry=retry).submit(functions.count_and_fail, self.file, 3)
        self.assertIsInstance(future.exception(20), ConnectionError)
        self.assertEqual(os.path.getsize(self.file), 1)

    def test_a_delay(self):
        began = time.monotonic()
        self.assertEqual(self.executor.options(delay=0.5).submit(functions.same, 1).result(20), 1)
        self.assertGreaterEqual(time.monotonic() - began, 0.5)

    def test_priorities(self):
        blockers = [self.executor.submit(functions.long_nap, 0.5) for _ in range(2)]
        time.sleep(0.2)
        low = [self.executor.options(priority="low").submit(functions.note, self.file, "l") for _ in range(5)]
        high = [
            self.executor.options(priority="high").submit(functions.note, self.file, "h") for _ in range(5)
        ]
        for future in [*blockers, *low, *high]:
            future.result(20)
        with open(self.file) as notes:
            self.assertEqual(sorted(notes.read()[:4]), ["h"] * 4)

    def test_the_story_tells_the_options(self):
        future = self.executor.options(timeout=7, max_attempts=2, priority="high").submit(functions.same, 1)
        future.result(10)
        story = future.story()
        self.assertEqual((story["timeout_s"], story["max_attempts"], story["priority"]), (7, 2, "high"))

    def test_how_long_a_result_is_kept(self):
        future = self.executor.options(result_ttl=1).submit(functions.same, 1)
        self.assertEqual(future.result(10), 1)
        client = Client()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                client.status(future.task_id)
            except LookupError:
                return
            time.sleep(0.1)
        self.fail("the task is still known")

    def test_labels(self):
        self.assertEqual(self.executor.options(labels=["gpu", "big"]).submit(functions.same, 1).result(10), 1)
        self.assertEqual(self.executor.options(labels="gpu").submit(functions.same, 2).result(10), 2)
        elsewhere = self.executor.options(labels=["gpu", "tpu"]).submit(functions.same, 3)
        with self.assertRaises(concurrent.futures.TimeoutError):
            elsewhere.result(0.5)
        self.assertEqual(elsewhere.story()["status"], "QUEUED")
        elsewhere.cancel()

    def test_views_share_one_executor_and_add_up(self):
        view = self.executor.options(timeout=5).options(priority="low")
        self.assertEqual(view.group_id, self.executor.group_id)
        self.assertEqual(view.submit(functions.same, 1).result(10), 1)
        self.executor.shutdown()
        with self.assertRaises(RuntimeError):
            view.submit(functions.same, 1)
