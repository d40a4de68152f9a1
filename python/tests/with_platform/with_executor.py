"""An executor for each test, shut down after it; and gates, so that tests need no times."""

import contextlib
import pathlib
import tempfile
import unittest

from mpcsfaas import Executor


class WithExecutor(unittest.TestCase):
    def setUp(self):
        self.executor = Executor()
        self.addCleanup(self.executor.shutdown, cancel_futures=True)


@contextlib.contextmanager
def new_gate():
    """Yield a path where no file is: a task that runs `functions.hold` on it ends after somebody has touched it."""
    with tempfile.TemporaryDirectory() as folder:
        yield pathlib.Path(folder, "gate")
