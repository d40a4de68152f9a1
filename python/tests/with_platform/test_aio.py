"""The asyncio twin."""

import asyncio
import unittest

import functions
from with_executor import new_gate

from mpcsfaas import AsyncClient, AsyncExecutor, Client, NotFound


class Awaiting(unittest.IsolatedAsyncioTestCase):
    async def test_results_and_exceptions(self):
        async with AsyncExecutor() as executor:
            self.assertEqual(await executor.submit(pow, 2, 5), 32)
            with self.assertRaises(ValueError):
                await executor.submit(functions.fail, "x")

    async def test_many_at_once(self):
        async with AsyncExecutor() as executor:
            values = await asyncio.gather(*(executor.submit(functions.same, n) for n in range(3000)))
        self.assertEqual(values, list(range(3000)))

    async def test_who_waits_does_not_hold_up_the_loop(self):
        # What is waited for ends only after the loop has gone round beside it.
        async def go_round_and_open(gate):
            for _ in range(20):
                await asyncio.sleep(0.005)
            gate.touch()

        with new_gate() as first, new_gate() as second:
            async with AsyncExecutor() as executor:
                opening = asyncio.ensure_future(go_round_and_open(first))
                held = [executor.submit(functions.hold, first, n) for n in range(4)]
                self.assertEqual(await asyncio.gather(*held), [0, 1, 2, 3])
                await opening
                opening = asyncio.ensure_future(go_round_and_open(second))
                last = executor.submit(functions.hold, second, "by shutting down")
            await opening
            self.assertEqual(await last, "by shutting down")

    async def test_map_keeps_the_order_and_ends_early(self):
        async with AsyncExecutor() as executor:
            self.assertEqual(
                [value async for value in executor.map(pow, range(50), range(50))], [n**n for n in range(50)]
            )
            async for value in executor.map(functions.same, iter(int, 1), buffersize=5):
                self.assertEqual(value, 0)
                break

    async def test_as_they_complete(self):
        with new_gate() as gate:
            async with AsyncExecutor() as executor:
                tasks = [
                    executor.submit(functions.hold, gate, "held"),
                    executor.submit(functions.same, "free"),
                ]
                values = []
                for one in asyncio.as_completed(tasks):
                    values.append(await one)
                    gate.touch()
        self.assertEqual(values, ["free", "held"])

    async def test_cancelling_who_waits_cancels_the_task(self):
        async with AsyncExecutor() as executor:
            task = executor.submit(functions.loop_forever)

            async def wait_for_it():
                await task

            waiting = asyncio.ensure_future(wait_for_it())
            while task.task_id is None:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            waiting.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await waiting
            task_id = task.task_id
        self.assertEqual(Client().status(task_id), "CANCELLED")

    async def test_a_timeout_cancels_the_task(self):
        async with AsyncExecutor() as executor:
            task = executor.submit(functions.loop_forever)
            while task.task_id is None:
                await asyncio.sleep(0.01)
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(task, 0.2)
        self.assertEqual(Client().status(task.task_id), "CANCELLED")

    async def test_options(self):
        async with AsyncExecutor() as executor:
            with self.assertRaises(TimeoutError):
                await executor.options(timeout=0.2).submit(functions.nap, 30)


class Asking(unittest.IsolatedAsyncioTestCase):
    async def test_the_client(self):
        async with AsyncClient() as client:
            self.assertEqual(await client.run(pow, 2, 5), 32)
            executor = client.executor()
            tasks = [executor.submit(functions.same, n) for n in range(3)]
            await asyncio.gather(*tasks)
            ids = [task.task_id for task in tasks]
            self.assertEqual(await client.results(ids, 10), [0, 1, 2])
            self.assertEqual(await client.result(ids[1], 10), 1)
            self.assertEqual(await client.status(ids[0]), "COMPLETED")
            self.assertEqual((await client.task(ids[0]))["attempts"], 1)
            self.assertIn("completed", await client.explain(ids[0]))
            found = [one.value async for one in client.group(executor.group_id).results(10)]
            self.assertEqual(sorted(found), [0, 1, 2])
            self.assertEqual(sorted([one.value async for one in client.as_completed(ids, 10)]), [0, 1, 2])
            running = executor.submit(functions.nap, 30)
            while running.task_id is None:
                await asyncio.sleep(0.01)
            self.assertEqual(await client.cancel(running.task_id), 1)
            await executor.shutdown()

    async def test_leaving_a_stream_early(self):
        async with AsyncClient() as client:
            executor = client.executor()
            tasks = [executor.submit(functions.same, n) for n in range(100)]
            await asyncio.gather(*tasks)
            async for one in client.group(executor.group_id):
                self.assertEqual(one.status, "COMPLETED")
                break
            await executor.shutdown()

    async def test_lists_groups_and_running_again(self):
        async with AsyncClient() as client:
            self.assertEqual([value async for value in client.map(abs, [-1, 2])], [1, 2])
            self.assertEqual(await client.options(timeout=30).submit(pow, 2, 5), 32)
            executor = client.executor()
            tasks = [executor.submit(functions.same, n) for n in range(3)]
            await asyncio.gather(*tasks)
            group = client.group(executor.group_id)
            self.assertEqual((await group.progress())["completed"], 3)
            self.assertEqual(await group.values(10), [0, 1, 2])
            self.assertEqual(await group.cancel(), 0)
            await executor.shutdown()
            failed = client.submit(functions.fail, "again")
            with self.assertRaises(ValueError):
                await failed
            again = await client.run_again(failed.task_id)
            with self.assertRaises(ValueError):
                await client.result(again, 10)
            self.assertEqual((await client.run_failed_again(failure="UserException", limit=1))["count"], 1)
            function_id = await client.register(functions.same)
            self.assertEqual((await client.function(function_id))["name"], "same")
            self.assertEqual(len([task async for task in client.tasks(function=function_id, limit=2)]), 2)
            self.assertIn("same", {one["name"] async for one in client.functions()})
            spoken = client.submit(functions.speak, 1)
            await spoken
            self.assertEqual(await client.printed(spoken.task_id), "line 0\n")
            self.assertEqual([line.text async for line in client.logs(spoken.task_id)], ["line 0\n"])
            (worker, *_), (dispatcher, *_) = await client.workers(), await client.dispatchers()
            self.assertIn("python_version", worker)
            self.assertGreaterEqual(dispatcher["slots"], 1)
            for drain in (client.drain_worker, client.drain_dispatcher):
                with self.assertRaises(NotFound):
                    await drain("nobody")
