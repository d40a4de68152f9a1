"""What a platform that cannot be reached for a while does to futures."""

import time
import unittest

import functions
from tcp_proxy import TcpProxy

from mpcsfaas import Executor


class Outages(unittest.TestCase):
    def setUp(self):
        self.proxy = TcpProxy()
        self.addCleanup(self.proxy.stop)

    def test_a_connection_that_breaks_after_a_long_silence_is_made_again(self):
        timeout = 3
        with Executor(url=self.proxy.url, timeout=timeout) as executor:
            executor.submit(functions.same, 1).result(30)
            future = executor.submit(functions.nap, 2 * timeout, "slept")
            time.sleep(1.2 * timeout)
            self.assertFalse(future.done())
            self.proxy.cut()
            self.assertEqual(future.result(30), "slept")
