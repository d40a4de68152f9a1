"""An executor for each test, shut down after it."""

import unittest

from mpcsfaas import Executor


class WithExecutor(unittest.TestCase):
    def setUp(self):
        self.executor = Executor()
        self.addCleanup(self.executor.shutdown, cancel_futures=True)
