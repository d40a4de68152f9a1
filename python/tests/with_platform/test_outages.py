"""What a platform that cannot be reached for a while does to futures and to lines that are followed."""

import threading
import time
import unittest
from unittest import mock

import functions
from tcp_proxy import TcpProxy

from mpcsfaas import Client, Executor, PlatformUnreachable
from mpcsfaas.transport import Transport


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

    def test_a_task_submitted_when_the_reader_of_results_had_given_up_ends_all_the_same(self):
        transport = Transport(self.proxy.url, timeout=1)
        with Executor(transport=transport) as executor:
            executor.submit(functions.same, 1).result(30)
            given_up = executor.submit(functions.nap, 5)
            while given_up.task_id is None:
                time.sleep(0.01)
            # Who reads has looked at it by now; who submits will be the more patient.
            transport.timeout = 60
            self.proxy.break_off()
            future = executor.submit(functions.same, 2)
            self.assertIsInstance(given_up.exception(30), PlatformUnreachable)
            self.assertFalse(future.done())
            self.proxy.mend()
            self.assertEqual(future.result(30), 2)
            self.assertEqual(executor.submit(functions.same, 3).result(30), 3)
            self.assertEqual(len(executor.group_ids), 1)

    def test_a_group_that_somebody_else_closes_is_followed_by_another(self):
        with Executor() as executor:
            self.assertEqual(executor.submit(functions.same, 1).result(30), 1)
            reader = next(thread for thread in threading.enumerate() if executor.group_id[:8] in thread.name)
            Client().group(executor.group_id).close()
            reader.join(30)
            self.assertEqual(executor.submit(functions.same, 2).result(30), 2)

    def test_lines_go_on_over_connections_that_break(self):
        client = Client(self.proxy.url)
        self.addCleanup(client.close)
        future = client.submit(functions.speak, 12, 0.3)
        lines = client.logs(future.reference_id(), follow=True)
        came = []
        for line in lines:
            came.append(line.text)
            if len(came) in (2, 6):
                self.proxy.cut()
        self.assertEqual(came, [line.text for line in client.logs(future.task_id)])
        self.assertEqual(len(came), 13)
        self.assertEqual(future.result(30), 12)

    def test_lines_from_a_platform_that_falls_silent(self):
        client = Client(self.proxy.url, timeout=1)
        future = Client().submit(functions.speak, 2, 20)
        self.addCleanup(future.cancel)
        with mock.patch("mpcsfaas.log_lines._SILENCE_S", 2.0):
            lines = client.logs(future.reference_id(), follow=True)
            self.assertEqual(next(lines).text, "line 0\n")
            self.proxy.silence()
            with self.assertRaises(PlatformUnreachable):
                next(lines)
