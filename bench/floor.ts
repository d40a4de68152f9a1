/**
 * `node dist/bench/floor.js`: the least that a task can cost over its wires on this machine, today: TCP between client and API, Redis by its
 * socket and with its append-only file, ZeroMQ between dispatcher and worker, pipes to Python. Processor time with 1 MiB in and 1 MiB out; time of
 * a round trip with next to nothing.
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
import { ENGINE_ENVIRONMENT, tuneEngine } from '../cli/engine.js';
import { PYTHON } from '../specs/support/python.js';
import { childrenOf, cpuMs } from '../specs/support/processTable.js';
import { startRedis } from '../specs/support/servers.js';
import { openCommand } from './support/command.js';
import { sum } from './support/processes.js';
import { median } from './support/statistics.js';
import { tableText } from './support/table.js';

const SIZE = 1024 * 1024;
const VALUE = randomBytes(SIZE);
const FILE = fileURLToPath(import.meta.url);
const CORES = 2;
/** Tasks under way at once: fewer would have to be waked for more often. */
const BATCH = 4;
/** What a small message has on any of the wires, about. */
const WORD = Buffer.alloc(128, 'w');
/** How Redis is asked to tell what comes on a channel, and told something for it; and how long its answers are. */
const HEAR = '*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n';
const TELL = `*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$${WORD.length}\r\n`;
const HEARD_BYTES = `*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n`.length;
const TOLD_BYTES = `*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$${WORD.length}\r\n`.length + WORD.length + 2;
/** Answers each value with one, read into memory that is used again: by a socket it listens on, or its stdin and stdout. */
const ECHO = `
import os, socket, sys
size = int(sys.argv[2])
value, room = os.urandom(size), memoryview(bytearray(size))
if sys.argv[1] == "tcp":
    server = socket.create_server(("127.0.0.1", 0))
    print(server.getsockname()[1], flush=True)
    connection = server.accept()[0]
    ends = (connection.fileno(),) * 2
else:
    ends = (0, 1)
while True:
    left = size
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
async function echoOverZeromq(url: string, size: number): Promise<void> {
  const value = VALUE.subarray(0, size);
  await receiveIntoOwnMemory();
  const dealer = new Dealer({ routingId: 'w' });
  dealer.connect(url);
  await dealer.send('hello');
  for (;;) {
    await dealer.receive();
    await dealer.send(value);
  }
}

const [variable] = Object.keys(ENGINE_ENVIRONMENT);
if (process.env[variable ?? ''] === undefined) {
  // Once more, as actors are run.
  const env = { ...process.env, ...ENGINE_ENVIRONMENT };
  const args = [FILE, ...process.argv.slice(2)];
  process.exit(spawnSync(process.execPath, args, { env, stdio: 'inherit' }).status ?? 1);
}
tuneEngine();
if (process.argv[2] === '--other-end') await echoOverZeromq(process.argv[3] ?? '', Number(process.argv[4]));

const { pace, print, say } = openCommand('MPCSFaaS floor');
const batches = pace.scale < 1 ? 5 : 100;
const rounds = pace.scale < 1 ? 100 : 3_000;
const costs: number[][] = [];
const trips: number[] = [];

/** How a wire is used: as often as that at once, or one after the other. */
type Use = (once: () => Promise<unknown>, otherPid: number) => Promise<void>;

/** Processor time per task, ms: of this process, of what is at the other end, and of the kernel's own threads, which write files. */
const cost: Use = async (batch, otherPid) => {
  for (let i = 0; i < batches / 5; i++) await batch();
  const [other, kernel, own] = [cpuMs(otherPid), kernelMs(), process.cpuUsage()];
  for (let i = 0; i < batches; i++) await batch();
  const { user, system } = process.cpuUsage(own);
  const spent = [(user + system) / 1000, cpuMs(otherPid) - other, kernelMs() - kernel];
  costs.push(spent.map((ms) => ms / batches / BATCH));
};

/** Median, ms. */
const time: Use = async (trip) => {
  const took: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const startedAtMs = performance.now();
    await trip();
    took.push(performance.now() - startedAtMs);
  }
  trips.push(median(took.slice(rounds / 2)));
};

/** Processor time of the kernel's own threads so far, ms: all are children of the second process. */
const kernelMs = (): number => sum(childrenOf(2).map(cpuMs));
const eachOf = <Item>(make: (index: number) => Item[]): Item[] =>
  Array.from({ length: BATCH }, (_, i) => make(i)).flat();
const pidOf = ({ pid }: ChildProcess): number => pid ?? 0;

async function tcp(size: number, use: Use): Promise<void> {
  const python = spawn(PYTHON, ['-c', ECHO, 'tcp', String(size)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = (await once(python.stdout, 'data')) as [Buffer];
  const end = await End.connected({ host: '127.0.0.1', port: Number(port) });
  await echoed(end, size, use, pidOf(python));
  await once(python, 'exit');
}

async function pipes(size: number, use: Use): Promise<void> {
  const python = spawn(PYTHON, ['-c', ECHO, 'pipes', String(size)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const end = new End(python.stdin);
  python.stdout.on('data', (chunk: Buffer) => end.received(chunk.length));
  await echoed(end, size, use, pidOf(python));
  await once(python, 'exit');
}

async function echoed(end: End, size: number, use: Use, otherPid: number): Promise<void> {
  const value = VALUE.subarray(0, size);
  const values = use === cost ? eachOf(() => [value]) : [value];
  await use(() => end.exchange(values, values.length * size), otherPid);
  end.close();
}

async function zeromq(size: number, use: Use): Promise<void> {
  await receiveIntoOwnMemory();
  const router = new Router();
  await router.bind('tcp://127.0.0.1:*');
  const other = fork(FILE, ['--other-end', router.lastEndpoint ?? '', String(size)]);
  const [identity] = (await router.receive()) as [Buffer];
  const value = VALUE.subarray(0, size);
  const batch = async (): Promise<void> => {
    for (let i = 0; i < BATCH; i++) await router.send([identity, value]);
    for (let i = 0; i < BATCH; i++) await router.receive();
  };
  const trip = async (): Promise<unknown> => {
    await router.send([identity, value]);
    return router.receive();
  };
  await use(use === cost ? batch : trip, pidOf(other));
  other.kill();
  await once(other, 'exit');
  router.close();
}

async function withRedis(use: (connect: () => Promise<End>, pid: number) => Promise<void>): Promise<void> {
  const server = await startRedis();
  const path = decodeURI(new URL(server.localUrl).pathname);
  await use(() => End.connected({ path }), server.pid);
  await server.stop();
}

/** Arguments are written, read and deleted, the result is written and read, and kept. */
async function redisValues(connect: () => Promise<End>, pid: number): Promise<void> {
  const end = await connect();
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
    const each = (command: (key: string) => (string | Buffer)[], bytes: number): Promise<void> =>
      end.exchange(keys.flatMap(command), bytes);
    await each((key) => write(key, 'args'), written);
    await each((key) => [`HGET ${key} args\r\n`], read);
    await each((key) => [`HDEL ${key} args\r\n`], written);
    await each((key) => write(key, 'result'), written);
    await each((key) => [`HGET ${key} result\r\n`], read);
  };
  await cost(batch, pid);
  end.close();
}

/** A step of a task is written, and whoever waits for it is told. */
async function redisSteps(connect: () => Promise<End>, pid: number): Promise<void> {
  const [writer, hearer] = [await connect(), await connect()];
  await hearer.exchange([HEAR], HEARD_BYTES);
  const step = ['HSET task state queued\r\n', TELL, WORD, '\r\n'];
  await time(async () => {
    const answered = writer.exchange(step, 2 * ':1\r\n'.length);
    await hearer.exchange([], TOLD_BYTES);
    await answered;
  }, pid);
  for (const end of [writer, hearer]) end.close();
}

const WIRES = ['TCP: client (Python), API', 'Redis', 'ZeroMQ: dispatcher, worker', 'pipes: worker, Python'];
say('1 MiB');
await tcp(SIZE, cost);
await withRedis(redisValues);
await zeromq(SIZE, cost);
await pipes(SIZE, cost);
say('round trips');
await tcp(WORD.length, time);
await withRedis(redisSteps);
await zeromq(WORD.length, time);
await pipes(WORD.length, time);
const all = sum(costs.flat());
print(
  tableText({
    title: '1 MiB in and out over bare wires, ms of processor time per task',
    columns: ['wire', 'one end (Node)', 'the other', "kernel's threads", 'together'],
    rows: [...costs.map((parts, i) => [WIRES[i] ?? '', ...parts, sum(parts)]), ['in all', '', '', '', all]],
    notes: [
      `${batches * BATCH} tasks, ${BATCH} at a time; ${CORES} cores that do nothing else: at most ${(CORES * (1000 / all)).toFixed(0)} tasks/s`,
      'Redis: both written and read, results kept; the kernel writes the append-only file to the disk',
    ],
  }),
);
const ways = [1, 2, 1, 1];
print(
  tableText({
    title: 'One round trip over bare wires, median, ms',
    columns: ['wire', 'there and back', 'times'],
    rows: [
      ...trips.map((ms, i) => [WIRES[i] ?? '', ms, ways[i] ?? 0]),
      ['in all', sum(trips.map((ms, i) => ms * (ways[i] ?? 0))), ''],
    ],
    notes: [
      `${rounds} trips each, the second half counts; ${WORD.length} bytes; one wire at a time, so that all code is warm`,
      'Redis: a field is written, and another connection is told of it: once at submit, once at settle',
    ],
  }),
);
process.exit(0);
