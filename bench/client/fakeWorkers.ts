/**
 * Many workers in one process: real supervisors on real ZeroMQ sockets, over pools that answer at once in place of Python processes.
 * Started by `questions/manyWorkers.ts`: URL of the dispatcher, number of workers, prefix of their names.
 */
import { randomUUID } from 'node:crypto';
import { context } from 'zeromq';
import { systemClock } from '../../actors/clock.js';
import type { ProcessPool } from '../../actors/processPool.js';
import { WorkerSupervisor } from '../../actors/workerSupervisor.js';
import { dispatcherCodec, workerCodec } from '../../bus/codec.js';
import type { TaskOrder, TaskResult } from '../../bus/messages.js';
import { PushDealerBus } from '../../bus/zeromq/pushBus.js';

const SLOTS = 1;
const HEARTBEAT_MS = 1_000;
/** Beyond the workers: sockets that are closing. */
const SPARE_SOCKETS = 64;
/** Pickle of None. */
const NONE = Buffer.from('80044e2e', 'hex');

/** Ends every order in the next turn of the event loop, as one batch. */
class InstantPool implements ProcessPool {
  readonly slots = SLOTS;
  onResults: (results: TaskResult[]) => void = () => undefined;
  onPrinted = () => undefined;
  onAborted = () => undefined;
  private readonly functions = new Set<string>();

  async start() {
    return { pythonVersion: 'none', pythonImplementation: 'none', dillVersion: 'none' };
  }

  addFunction(functionId: string): void {
    this.functions.add(functionId);
  }

  hasFunction(functionId: string): boolean {
    return this.functions.has(functionId);
  }

  functionIds(): string[] {
    return [...this.functions];
  }

  run(orders: TaskOrder[]): void {
    setImmediate(() => {
      this.onResults(orders.map(completed));
    });
  }

  abort(): void {
    // What runs has ended before anybody could abort it.
  }

  takeBack(): TaskOrder[] {
    return [];
  }

  follow(): void {
    // Nothing is printed.
  }

  printed() {
    return undefined;
  }

  load() {
    return { running: 0, queued: 0 };
  }

  async stop(): Promise<void> {
    return Promise.resolve();
  }
}

const completed = ({ taskId, fence }: TaskOrder): TaskResult => ({
  taskId,
  fence,
  outcome: 'completed',
  payload: NONE,
  startedAtMs: Date.now(),
  runTimeUs: 10,
  peakMemoryKib: 0,
  output: Buffer.alloc(0),
  outputTruncated: false,
});

const report = (error: unknown): void => {
  process.stderr.write(`${String(error)}\n`);
};

const [url = '', count = '1', prefix = 'fake'] = process.argv.slice(2);
context.maxSockets = Math.max(context.maxSockets, Number(count) + SPARE_SOCKETS);
let connected = 0;
const supervisors = Array.from(
  { length: Number(count) },
  (_, index) =>
    new WorkerSupervisor(
      {
        name: `${prefix}-${index}`,
        instance: randomUUID(),
        pid: process.pid,
        heartbeatMs: HEARTBEAT_MS,
        urls: [url],
      },
      {
        pool: new InstantPool(),
        connect: (to) =>
          new PushDealerBus({ incoming: dispatcherCodec, outgoing: workerCodec, onError: report, url: to }),
        clock: systemClock,
        onError: report,
        onConnected: (isConnected) => {
          connected += isConnected ? 1 : -1;
          if (connected === supervisors.length) process.stdout.write('{"ok":"connected"}\n');
        },
        onDrainRequested: () => undefined,
      },
    ),
);
for (const supervisor of supervisors) await supervisor.start();

process.stdin.resume().once('end', () => {
  void Promise.all(supervisors.map((supervisor) => supervisor.drain(1_000))).then(() => process.exit(0));
});
