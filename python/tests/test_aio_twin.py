import asyncio
import inspect
import unittest

from mpcsfaas import AsyncClient, AsyncGroup, Client, Group
from mpcsfaas.aio_client import from_thread


def public(kind):
    return {name for name in dir(kind) if not name.startswith("_")}


def parameters(function):
    return [(one.name, one.kind, one.default) for one in inspect.signature(function).parameters.values()]


class Twin(unittest.TestCase):
    def test_it_has_every_call_with_the_same_parameters(self):
        for kind, twin in ((Client, AsyncClient), (Group, AsyncGroup)):
            self.assertEqual(public(kind) - public(twin), set())
            for name in public(kind) - {"url"}:
                with self.subTest(name):
                    self.assertEqual(parameters(getattr(twin, name)), parameters(getattr(kind, name)))


class Reading(unittest.IsolatedAsyncioTestCase):
    async def test_every_error_of_what_is_read_reaches_the_reader(self):
        # A RuntimeError is also what a closed loop says, and the base of some errors of the client.
        for error in (RuntimeError("wrong"), OSError("away")):

            def read(error=error):
                yield 1
                raise error

            async def collect(read=read):
                async for one in from_thread(read):
                    self.assertEqual(one, 1)

            with self.assertRaises(type(error)) as caught:
                await asyncio.wait_for(collect(), 30)
            self.assertIs(caught.exception, error)
