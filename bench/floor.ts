/**
 * `node dist/bench/floor.js`: what it costs to move 1 MiB in and 1 MiB out over the wires of a task, with nothing of ours at their ends: bare HTTP,
 * a Redis that keeps both in its append-only file, ZeroMQ, a pipe to Python. No platform on these wires can be cheaper. The bytes are random: nothing
 * on the way can profit from what they are.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Readable } from 'node:stream';
import { Dealer, Router } from 'zeromq';
import { connectRedis } from '../bus/redis/connection.js';
import { tuneEngine } from '../cli/engine.js';
import { PYTHON } from '../specs/support/python.js';
import { cpuMs } from '../specs/support/processTable.js';
import { startRedis } from '../specs/support/servers.js';
import { openCommand } from './support/command.js';
import { sum } from './support/processes.js';
import { tableText } from './support/table.js';

const VALUE = randomBytes(1024 * 1024);
const CORES = 2;
const ECHO = `
import os
while True:
    left, parts = ${VALUE.length}, []
    while left:
        part = os.read(0, left)
        if not part: raise SystemExit
        parts.append(part)
        left -= len(part)
    data = memoryview(b"".join(parts))
    while data: data = data[os.write(1, data):]
`;

const { pace, print, say } = openCommand('MPCSFaaS floor');
const count = pace.scale < 1 ? 20 : 300;
const rows: [string, number, number][] = [];
tuneEngine();

/** CPU of `count` calls, ms each: of this process, which is both ends where there is no other, and of the server. */
async function measure(wire: string, call: () => Promise<unknown>, serverPid?: number): Promise<void> {
  say(wire);
  for (let i = 0; i < count / 10; i++) await call();
  const serverBefore = serverPid === undefined ? 0 : cpuMs(serverPid);
  const before = process.cpuUsage();
  for (let i = 0; i < count; i++) await call();
  const { user, system } = process.cpuUsage(before);
  const serverMs = serverPid === undefined ? 0 : cpuMs(serverPid) - serverBefore;
  rows.push([wire, (user + system) / 1000 / count, serverMs / count]);
}

async function gathered(from: Readable, bytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let missing = bytes;
  while (missing > 0) {
    const part = from.read() as Buffer | null;
    if (part === null) {
      await once(from, 'readable');
      continue;
    }
    parts.push(part);
    missing -= part.length;
  }
  return Buffer.concat(parts);
}

async function http(): Promise<void> {
  const server = createServer((incoming, reply) => {
    void gathered(incoming, VALUE.length).then((body) => reply.end(body));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true });
  await measure('HTTP, Node at both ends', async () => {
    const sent = request({ port, agent, method: 'POST', headers: { 'content-length': VALUE.length } });
    sent.end(VALUE);
    const [answer] = (await once(sent, 'response')) as [Readable];
    const ended = once(answer, 'end');
    await gathered(answer, VALUE.length);
    answer.resume();
    await ended;
  });
  agent.destroy();
  server.close();
}

async function redis(): Promise<void> {
  const server = await startRedis();
  const nothing = { lost: () => undefined, restored: () => undefined };
  const connection = connectRedis(server.localUrl, nothing);
  await once(connection, 'ready');
  let task = 0;
  await measure(
    'Redis: both written, both read, append-only file',
    async () => {
      const key = `task:${task++}`;
      await connection.hset(key, 'args', VALUE);
      await connection.hgetBuffer(key, 'args');
      await connection.hset(key, 'args', '', 'result', VALUE);
      await connection.hgetBuffer(key, 'result');
    },
    server.pid,
  );
  connection.disconnect();
  await server.stop();
}

async function zeromq(): Promise<void> {
  const [router, dealer] = [new Router(), new Dealer({ routingId: 'w' })];
  await router.bind('tcp://127.0.0.1:*');
  dealer.connect(router.lastEndpoint ?? '');
  await dealer.send('hello');
  await router.receive();
  await measure('ZeroMQ, Node at both ends', async () => {
    await router.send(['w', VALUE]);
    const [order] = await dealer.receive();
    await dealer.send(order as Buffer);
    await router.receive();
  });
  dealer.close();
  router.close();
}

async function pipes(): Promise<void> {
  const python = spawn(PYTHON, ['-c', ECHO], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [input, output] = [python.stdin, python.stdout];
  const call = async (): Promise<void> => {
    input.write(VALUE);
    await gathered(output, VALUE.length);
  };
  await measure('pipes, Node and Python', call, python.pid);
  input.end();
  await once(python, 'exit');
}

for (const wire of [http, redis, zeromq, pipes]) await wire();
const all = sum(rows.map(([, ours, server]) => ours + server));
print(
  tableText({
    title: '1 MiB in and out over bare wires, ms of processor time per task',
    columns: ['wire', 'this process', 'Redis, Python', 'together'],
    rows: [...rows.map(([wire, ours, server]) => [wire, ours, server, ours + server]), ['in all', '', '', all]],
    notes: [
      `${count} tasks one after the other; ${CORES} cores that do nothing else: at most ${(CORES * (1000 / all)).toFixed(0)} tasks/s`,
    ],
  }),
);
process.exit(0);
