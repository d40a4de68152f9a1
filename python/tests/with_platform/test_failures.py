"""Every way a task can fail, and what it is in Python."""

import concurrent.futures
import pickle
import time
import traceback
import unittest
from concurrent.futures.process import BrokenProcessPool

import functions

import mpcsfaas
from mpcsfaas import Executor


class Failures(unittest.TestCase):
    def setUp(self):
        self.executor = Executor()
        self.addCleanup(self.executor.shutdown, cancel_futures=True)

    def failure(self, function, *args, **options):
        return self.executor.options(**options).submit(function, *args).exception(30)

    def test_user_exception(self):
        error = self.failure(functions.fail, "because")
        self.assertEqual((type(error), str(error)), (ValueError, "because"))
        self.assertIn("in fail", str(error.__cause__))

    def test_user_exception_with_a_class_of_the_module(self):
        error = self.failure(_raise_own, 42)
        self.assertEqual((type(error), error.code), (OwnError, 42))

    def test_sys_exit_does_not_end_the_client(self):
        error = self.failure(functions.leave)
        self.assertIsInstance(error, mpcsfaas.TaskFailure)
        self.assertIn("SystemExit", str(error))

    def test_timeout(self):
        error = self.failure(functions.nap, 30, timeout=0.2)
        self.assertIsInstance(error, mpcsfaas.TaskTimeout)
        self.assertIsInstance(error, TimeoutError)
        self.assertEqual(error.attempts, 1)
        self.assertTrue(error.worker)
        self.assertIn(error.task_id, str(error))

    def test_cancelled(self):
        future = self.executor.submit(functions.nap, 30)
        while future.task_id is None:
            time.sleep(0.01)
        future.cancel()
        with self.assertRaises(concurrent.futures.CancelledError):
            future.result(10)
        with self.assertRaises(mpcsfaas.TaskCancelled):
            mpcsfaas.Client().result(future.task_id, 10)

    def test_process_crashed(self):
        error = self.failure(functions.kill_self, max_attempts=2)
        self.assertIsInstance(error, mpcsfaas.ProcessCrashed)
        self.assertIsInstance(error, BrokenProcessPool)
        self.assertEqual((error.signal, error.attempts), ("SIGSEGV", 2))

    def test_memory(self):
        error = self.failure(_too_much_memory)
        self.assertIsInstance(error, mpcsfaas.MemoryLimit)
        self.assertIsInstance(error, MemoryError)
        self.assertIn("MemoryError", error.remote_traceback)

    def test_arguments_that_the_worker_cannot_load(self):
        error = self.failure(functions.same, functions.Unloadable())
        self.assertIsInstance(error, mpcsfaas.DeserializationError)
        self.assertIsInstance(error, pickle.UnpicklingError)
        self.assertIsInstance(error.__cause__, ModuleNotFoundError)
        self.assertIn("no_such_module_anywhere", str(error))

    def test_a_result_that_cannot_be_pickled(self):
        error = self.failure(functions.unpicklable)
        self.assertIsInstance(error, mpcsfaas.ResultSerializationError)
        self.assertIsInstance(error, pickle.PicklingError)
        self.assertIn("generator", str(error))

    def test_a_result_that_is_too_large(self):
        error = self.failure(functions.too_large, 40 << 20)
        self.assertIsInstance(error, mpcsfaas.ResultTooLarge)
        self.assertIsInstance(error, ValueError)

    def test_a_result_that_cannot_be_loaded_here(self):
        error = self.failure(functions.Unloadable)
        self.assertIsInstance(error, mpcsfaas.ResultLoadError)
        self.assertIsInstance(error.__cause__, ModuleNotFoundError)

    def test_a_wrong_option_is_refused_and_harms_no_other_task(self):
        good = [self.executor.submit(functions.same, number) for number in range(50)]
        error = self.failure(functions.same, 1, timeout=-1)
        self.assertIsInstance(error, mpcsfaas.InvalidRequest)
        self.assertIsInstance(error, ValueError)
        self.assertIn("timeout_s", str(error))
        self.assertEqual([future.result(10) for future in good], list(range(50)))
        with self.assertRaises(TypeError):
            self.executor.options(no_such_option=1)

    def test_a_task_that_is_unknown(self):
        with self.assertRaises(mpcsfaas.NotFound):
            mpcsfaas.Client().task("6b1c3c5e-5d0c-4b5e-9b3f-1f6f0f6f2a11")
        with self.assertRaises(mpcsfaas.TaskUnknown):
            mpcsfaas.Client().result("6b1c3c5e-5d0c-4b5e-9b3f-1f6f0f6f2a11", 10)

    def test_failures_read_well_and_can_be_pickled(self):
        error = self.failure(functions.nap, 30, timeout=0.2)
        shown = "".join(traceback.format_exception(type(error), error, None))
        self.assertIn("mpcsfaas.errors.TaskTimeout: the function ran longer", shown)
        again = pickle.loads(pickle.dumps(error))
        self.assertEqual((type(again), str(again), again.task_id), (type(error), str(error), error.task_id))


class OwnError(Exception):
    def __init__(self, code):
        super().__init__(f"code {code}")
        self.code = code


def _raise_own(code):
    raise OwnError(code)


def _too_much_memory():
    raise MemoryError("no more")
