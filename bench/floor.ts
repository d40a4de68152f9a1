/**
 * `node dist/bench/floor.js`: the least that 1 MiB in and 1 MiB out can cost over the wires of a task: TCP between client and API, Redis by its
 * socket and with its append-only file, ZeroMQ between dispatcher and worker, pipes to Python.
 *
 * Both ends of each wire are processes of their own, as on the platform. What is received goes into memory that is used again, and is not looked at;
 * nothing is framed, checked, pickled, scheduled or told to anybody. A platform on these wires does all of that and the same transfers, so that it
 * cannot be cheaper. The bytes are random: nothing on the way can profit from what they are.
 */
import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type OnReadOpts, type TcpNetConnectOpts } from 'node:net';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Dealer, Router } from 'zeromq';
import { receiveIntoOwnMemory } from '../bus/zeromq/ownMemory.js';
import { ENGINE_ARGUMENTS, ENGINE_ENVIRONMENT } from '../cli/engine.js';
import { PYTHON } from '../specs/support/python.js';
import { cpuMs } from '../specs/support/processTable.js';
import { startRedis } from '../specs/support/servers.js';
import { openCommand } from './support/command.js';
import { sum } from './support/processes.js';
import { tableText } from './support/table.js';

const SIZE = 1024 * 1024;
const VALUE = randomBytes(SIZE);
const FILE = fileURLToPath(import.meta.url);
const CORES = 2;
/** Tasks under way at once: fewer would have to be waked for more often. */
const BATCH = 4;
/** Answers each value with one, read into memory that is used again: by a socket it listens on, or its stdin and stdout. */
const ECHO = `
import os, socket, sys
value, room = os.urandom(${SIZE}), memoryview(bytearray(${SIZE}))
if sys.argv[1] == "tcp":
    server = socket.create_server(("127.0.0.1", 0))
    print(server.getsockname()[1], flush=True)
    connection = server.accept()[0]
    ends = (connection.fileno(),) * 2
else:
    ends = (0, 1)
while True:
    left = ${SIZE}
    while left:
        got = os.readv(ends[0], [room[:left]])
        if not got: raise SystemExit
        left -= got
    data = memoryview(value)
    while data: data = data[os.write(ends[1], data):]
`;

/** One end of a stream: sends, and waits until so many bytes have come. */
class End {
  private awaited = 0;
  private arrived: () => void = () => undefined;

  constructor(private readonly output: Writable) {}

  static async connected(to: { path: string } | { host: string; port: number }): Promise<End> {
    const onread: OnReadOpts = { buffer: Buffer.alloc(SIZE), callback: (bytes) => end.received(bytes) };
    const socket = connect({ ...to, onread } as TcpNetConnectOpts);
    const end = new End(socket);
    socket.on('error', () => end.close());
    await once(socket, 'connect');
    return end;
  }

  received(bytes: number): boolean {
    this.awaited -= bytes;
    if (this.awaited <= 0) this.arrived();
    return true;
  }

  async exchange(parts: readonly (string | Buffer)[], bytes: number): Promise<void> {
    this.awaited = bytes;
    const arrival = new Promise<void>((resolve) => (this.arrived = resolve));
    this.output.cork();
    for (const part of parts) this.output.write(part);
    this.output.uncork();
    await arrival;
  }

  close(): void {
    this.output.destroy();
  }
}

/** The other end of ZeroMQ's wire, in a process of its own. */
async function echoOverZeromq(url: string): Promise<void> {
  await receiveIntoOwnMemory();
  const dealer = new Dealer({ routingId: 'w' });
  dealer.connect(url);
  await dealer.send('hello');
  for (;;) {
    await dealer.receive();
    await dealer.send(VALUE);
  }
}

const [variable] = Object.keys(ENGINE_ENVIRONMENT);
if (process.env[variable ?? ''] === undefined) {
  // Once more, as actors are run.
  const env = { ...process.env, ...ENGINE_ENVIRONMENT };
  const args = [...ENGINE_ARGUMENTS, FILE, ...process.argv.slice(2)];
  process.exit(spawnSync(process.execPath, args, { env, stdio: 'inherit' }).status ?? 1);
}
if (process.argv[2] === '--other-end') await echoOverZeromq(process.argv[3] ?? '');

const { pace, print, say } = openCommand('MPCSFaaS floor');
const batches = pace.scale < 1 ? 5 : 100;
const rows: [string, number, number][] = [];

/** CPU per task, ms: of this process, and of what is at the other end. */
async function measure(wire: string, batch: () => Promise<unknown>, otherPid: number): Promise<void> {
  say(wire);
  for (let i = 0; i < batches / 5; i++) await batch();
  const otherBefore = cpuMs(otherPid);
  const before = process.cpuUsage();
  for (let i = 0; i < batches; i++) await batch();
  const { user, system } = process.cpuUsage(before);
  rows.push([wire, (user + system) / 1000 / batches / BATCH, (cpuMs(otherPid) - otherBefore) / batches / BATCH]);
}

const eachOf = <Item>(make: (index: number) => Item[]): Item[] =>
  Array.from({ length: BATCH }, (_, i) => make(i)).flat();
const pidOf = ({ pid }: ChildProcess): number => pid ?? 0;

async function tcp(): Promise<void> {
  const python = spawn(PYTHON, ['-c', ECHO, 'tcp'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = (await once(python.stdout, 'data')) as [Buffer];
  const end = await End.connected({ host: '127.0.0.1', port: Number(port) });
  const values = eachOf(() => [VALUE]);
  await measure('TCP: client (Python), API', () => end.exchange(values, BATCH * SIZE), pidOf(python));
  end.close();
  await once(python, 'exit');
}

async function redis(): Promise<void> {
  const server = await startRedis();
  const path = decodeURI(new URL(server.localUrl).pathname);
  const end = await End.connected({ path });
  const write = (key: string, field: string): (string | Buffer)[] => [
    `*4\r\n$4\r\nHSET\r\n$${key.length}\r\n${key}\r\n$${field.length}\r\n${field}\r\n$${SIZE}\r\n`,
    VALUE,
    '\r\n',
  ];
  const written = BATCH * ':1\r\n'.length;
  const read = BATCH * (`$${SIZE}\r\n`.length + SIZE + 2);
  let task = 0;
  const batch = async (): Promise<void> => {
    const keys = eachOf(() => [`task:${task++}`]);
    await end.exchange(
      keys.flatMap((key) => write(key, 'args')),
      written,
    );
    await end.exchange(
      keys.map((key) => `HGET ${key} args\r\n`),
      read,
    );
    await end.exchange(
      keys.map((key) => `HDEL ${key} args\r\n`),
      written,
    );
    await end.exchange(
      keys.flatMap((key) => write(key, 'result')),
      written,
    );
    await end.exchange(
      keys.map((key) => `HGET ${key} result\r\n`),
      read,
    );
  };
  await measure('Redis: both written and read, results kept', batch, server.pid);
  end.close();
  await server.stop();
}

async function zeromq(): Promise<void> {
  await receiveIntoOwnMemory();
  const router = new Router();
  await router.bind('tcp://127.0.0.1:*');
  const other = fork(FILE, ['--other-end', router.lastEndpoint ?? '']);
  const [identity] = await router.receive();
  const batch = async (): Promise<void> => {
    for (let i = 0; i < BATCH; i++) await router.send([identity as Buffer, VALUE]);
    for (let i = 0; i < BATCH; i++) await router.receive();
  };
  await measure('ZeroMQ: dispatcher, worker', batch, pidOf(other));
  other.kill();
  await once(other, 'exit');
  router.close();
}

async function pipes(): Promise<void> {
  const python = spawn(PYTHON, ['-c', ECHO, 'pipes'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const end = new End(python.stdin);
  python.stdout.on('data', (chunk: Buffer) => end.received(chunk.length));
  const values = eachOf(() => [VALUE]);
  await measure('pipes: worker, Python', () => end.exchange(values, BATCH * SIZE), pidOf(python));
  python.stdin.end();
  await once(python, 'exit');
}

for (const wire of [tcp, redis, zeromq, pipes]) await wire();
const all = sum(rows.map(([, ours, other]) => ours + other));
print(
  tableText({
    title: '1 MiB in and out over bare wires, ms of processor time per task',
    columns: ['wire', 'one end (Node)', 'the other', 'together'],
    rows: [...rows.map(([wire, ours, other]) => [wire, ours, other, ours + other]), ['in all', '', '', all]],
    notes: [
      `${batches * BATCH} tasks, ${BATCH} at a time; ${CORES} cores that do nothing else: at most ${(CORES * (1000 / all)).toFixed(0)} tasks/s`,
    ],
  }),
);
process.exit(0);
