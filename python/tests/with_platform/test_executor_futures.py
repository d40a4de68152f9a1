"""The behaviours of the standard library's executors, on ours: maps, futures, and cancelling them."""

import concurrent.futures
import os
import sys
import tempfile
import threading
import time
import traceback

import functions
from with_executor import WithExecutor, new_gate

from mpcsfaas.futures import TaskFuture


class Mapping(WithExecutor):
    def test_the_order_is_kept(self):
        pauses = [0.2, 0.0, 0.1, 0.0]
        self.assertEqual(list(self.executor.map(functions.nap, pauses, "abcd")), list("abcd"))

    def test_the_shortest_iterable_ends_it(self):
        self.assertEqual(list(self.executor.map(pow, range(10), range(3))), [1, 1, 4])

    def test_chunks_give_the_same(self):
        expected = list(map(pow, range(40), range(40)))
        for size in (1, 5, 40, 50):
            self.assertEqual(list(self.executor.map(pow, range(40), range(40), chunksize=size)), expected)
        with self.assertRaises(ValueError):
            self.executor.map(pow, range(3), range(3), chunksize=0)

    def test_an_exception_comes_in_its_place(self):
        results = self.executor.map(divmod, [1, 1, 1], [2, 0, 5])
        self.assertEqual(next(results), (0, 1))
        with self.assertRaises(ZeroDivisionError):
            next(results)

    def test_the_timeout_is_counted_from_the_call(self):
        results = self.executor.map(functions.nap, [0, 30], "ab", timeout=2)
        self.assertEqual(next(results), "a")
        began = time.monotonic()
        with self.assertRaises(concurrent.futures.TimeoutError):
            next(results)
        self.assertLess(time.monotonic() - began, 5)

    def test_what_is_left_when_it_is_given_up_is_cancelled(self):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "notes")
            results = self.executor.map(_nap_and_note, [0.0] + [1.0] * 20, [file] * 21)
            next(results)
            results.close()
            self.executor.shutdown()
            with open(file) as notes:
                self.assertLess(len(notes.read()), 10)

    def test_an_endless_iterable_with_a_bounded_buffer(self):
        import itertools

        results = self.executor.map(functions.same, itertools.count(), buffersize=10)
        self.assertEqual(list(itertools.islice(results, 100)), list(range(100)))
        results.close()

    def test_nothing_to_map(self):
        self.assertEqual(list(self.executor.map(abs, [])), [])

    def test_a_bar_is_drawn_when_asked_for(self):
        program = (
            "from mpcsfaas import Executor\n"
            "with Executor() as executor:\n"
            "    assert list(executor.map(abs, range(50), progress=True)) == list(range(50))\n"
            "    assert list(executor.map(abs, range(50))) == list(range(50))\n"
        )
        import subprocess

        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("50/50", done.stderr)
        # Nobody watches a pipe, so the second map draws none.
        self.assertEqual(done.stderr.count("abs: "), done.stderr.count("/50"))


def _nap_and_note(seconds, file):
    functions.nap(seconds)
    functions.note(file, ".")


class Futures(WithExecutor):
    def test_as_completed_yields_them_as_they_end(self):
        ended = []
        with new_gate() as gate:
            slow = self.executor.submit(functions.hold, gate, "slow")
            fast = self.executor.submit(functions.same, "fast")
            for future in concurrent.futures.as_completed([slow, fast], 20):
                ended.append(future.result())
                gate.touch()
        self.assertEqual(ended, ["fast", "slow"])

    def test_wait_for_the_first(self):
        slow = self.executor.submit(functions.nap, 30)
        fast = self.executor.submit(functions.same, 1)
        done, open_ = concurrent.futures.wait([slow, fast], 20, concurrent.futures.FIRST_COMPLETED)
        self.assertEqual((done, open_), ({fast}, {slow}))
        slow.cancel()

    def test_wait_for_the_first_exception(self):
        slow = self.executor.submit(functions.nap, 30)
        bad = self.executor.submit(functions.fail, "x")
        done, _ = concurrent.futures.wait([slow, bad], 20, concurrent.futures.FIRST_EXCEPTION)
        self.assertEqual(done, {bad})
        slow.cancel()

    def test_waiting_takes_no_longer_than_told(self):
        slow = self.executor.submit(functions.nap, 30)
        with self.assertRaises(concurrent.futures.TimeoutError):
            slow.result(0.1)
        done, open_ = concurrent.futures.wait([slow], 0.1)
        self.assertEqual((done, open_), (set(), {slow}))
        slow.cancel()

    def test_callbacks_are_called_before_or_after_the_end(self):
        called = threading.Event()
        future = self.executor.submit(functions.nap, 0.2, 7)
        future.add_done_callback(lambda one: one.result() == 7 and called.set())
        self.assertTrue(called.wait(10))
        late = []
        future.add_done_callback(late.append)
        self.assertEqual(late, [future])

    def test_a_callback_may_submit(self):
        more = []
        future = self.executor.submit(functions.same, 1)
        future.add_done_callback(
            lambda one: more.append(self.executor.submit(functions.same, one.result() + 1))
        )
        concurrent.futures.wait([future], 10)
        deadline = time.monotonic() + 10
        while not more and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual(more[0].result(10), 2)

    def test_an_exception_is_raised_as_itself_with_the_remote_traceback_as_its_cause(self):
        future = self.executor.submit(functions.fail, "because")
        with self.assertRaises(ValueError) as caught:
            future.result(10)
        self.assertEqual(caught.exception.args, ("because",))
        shown = "".join(traceback.format_exception(type(caught.exception), caught.exception, None))
        self.assertIn("raise ValueError(text)", shown)
        self.assertIn("The above exception was the direct cause", shown)

    def test_running_asks_the_platform(self):
        future = self.executor.submit(functions.nap, 30)
        deadline = time.monotonic() + 10
        while not future.running() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertTrue(future.running())
        future.cancel()
        self.assertFalse(future.running())

    def test_a_future_cannot_be_sent_away(self):
        import pickle

        with self.assertRaises(TypeError):
            pickle.dumps(TaskFuture(None))


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Cancelling(WithExecutor):
    def wait_until(self, condition):
        deadline = time.monotonic() + 10
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertTrue(condition())

    def test_a_waiting_task_never_starts(self):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "notes")
            blockers = [self.executor.submit(functions.nap, 1) for _ in range(4)]
            future = self.executor.submit(functions.note, file, "ran")
            self.assertTrue(future.cancel())
            self.assertTrue(future.cancelled())
            with self.assertRaises(concurrent.futures.CancelledError):
                future.result()
            for blocker in blockers:
                blocker.result(20)
            self.executor.submit(functions.same, 1).result(10)
            self.assertFalse(os.path.exists(file))

    # How soon is measured by hardCancel.spec.ts, without all that runs beside it here.
    def test_a_running_loop_ends(self):
        future = self.executor.submit(functions.loop_forever)
        self.wait_until(future.running)
        self.assertTrue(future.cancel())
        self.wait_until(lambda: future.story()["status"] == "CANCELLED")
        self.assertEqual(self.executor.submit(functions.same, 5).result(10), 5)

    def test_one_that_ignores_term_ends_as_well(self):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "pid")
            future = self.executor.submit(functions.ignore_term, file)
            self.wait_until(lambda: os.path.exists(file) and os.path.getsize(file) > 0)
            self.is_ended(future, file)

    def test_its_children_end_as_well(self):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "pid")
            future = self.executor.submit(functions.spawn_and_loop, file)
            self.wait_until(lambda: os.path.exists(file) and os.path.getsize(file) > 0)
            self.is_ended(future, file)

    def is_ended(self, future, file):
        with open(file) as started:
            pid = int(started.read())
        future.cancel()
        self.wait_until(lambda: not is_alive(pid))

    def test_an_ended_future_cannot_be_cancelled(self):
        future = self.executor.submit(functions.same, 1)
        future.result(10)
        self.assertFalse(future.cancel())
        self.assertEqual(future.result(), 1)

    def test_waiters_learn_of_it(self):
        future = self.executor.submit(functions.nap, 30)
        threading.Timer(0.2, future.cancel).start()
        self.assertEqual(next(concurrent.futures.as_completed([future], 10)), future)

    def test_cancelled_by_somebody_else(self):
        from mpcsfaas import Client

        future = self.executor.submit(functions.nap, 30)
        self.wait_until(lambda: future.task_id is not None)
        self.assertEqual(Client().cancel(future.task_id), 1)
        with self.assertRaises(concurrent.futures.CancelledError):
            future.result(10)
        self.assertTrue(future.cancelled())

    def test_random_cancels_leave_the_others_correct(self):
        import random

        chance = random.Random(7)
        futures = [self.executor.submit(functions.nap, 0.001, number) for number in range(1000)]
        chosen = [future for future in futures if chance.random() < 0.5]
        cancelled = {future for future in chosen if future.cancel()}
        for number, future in enumerate(futures):
            if future not in cancelled:
                self.assertEqual(future.result(60), number)
