import { setTimeout as sleep } from 'node:timers/promises';
import { Dealer } from 'zeromq';
import { workerCodec } from '../../../bus/codec.js';
import { pack } from '../../../bus/packing.js';
import type { SettledTask } from '../../../bus/controlMessages.js';
import { result } from '../../bus/support/wire.js';
import type { Random } from '../../simulation/random.js';
import { PICKLE } from './apiFixture.js';

/** What strangers send to the platform's inner wires. */

/** What is no control event, or one of no sense. */
export function noEvent(random: Random, topic: string): Buffer {
  const bytes = Buffer.from(Array.from({ length: random.integer(0, 300) }, () => random.integer(0, 255)));
  return random.pick([
    bytes,
    Buffer.alloc(0),
    pack(null),
    pack(['forger', topic]),
    pack(['forger', { type: topic }]),
    pack([
      'forger',
      { type: topic, worker: {}, tasks: {}, count: 'many', workers: 5, kind: 'king', id: [], state: null },
    ]),
    pack([
      'forger',
      { type: topic, tasks: [null, [], 7, { taskId: 1 }, { __proto__: { taskId: 'x' } }], workers: [{}] },
    ]),
    pack([['forger'], { type: topic, tasks: [], workers: [] }]),
    pack(['forger', { type: '__proto__' }]),
  ]);
}

/** Bytes that ZeroMQ refuses by itself. */
export function strangers(random: Random, number: number): (string | Buffer)[][] {
  const bytes = Buffer.from(Array.from({ length: random.integer(1, 5_000) }, () => random.integer(0, 255)));
  const greeting = Buffer.concat([
    Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0]),
    Buffer.from('NULL'),
    Buffer.alloc(48),
  ]);
  return [
    [bytes],
    [`GET /${number} HTTP/1.1\r\nHost: x\r\n\r\n`],
    [greeting, bytes],
    [greeting, Buffer.concat([Buffer.from([0x06, 0x7f]), Buffer.alloc(7, 0xff)])],
    [greeting.subarray(0, random.integer(1, 60))],
    [''],
  ];
}

/** Speaks ZeroMQ and what is no message, or the message of a worker that nobody knows; answers how much. */
export async function sendLies(url: string, random: Random, taskIds: readonly string[]): Promise<number> {
  const stranger = new Dealer({ linger: 0 });
  stranger.connect(url);
  const lies = taskIds.map((taskId) => result({ taskId, fence: `1:${random.hex(16)}`, payload: PICKLE }));
  const identity = {
    name: 'liar',
    instance: random.uuid(),
    slots: 0,
    pid: 1,
    pythonVersion: '3',
    pythonImplementation: 'x',
    dillVersion: '0',
    labels: [],
  };
  const rounds = 50;
  const messages: (Buffer | Buffer[])[] = [
    Buffer.from(Array.from({ length: 500 }, () => random.integer(0, 255))),
    pack(null),
    pack([['invented', 1]]),
    pack([['__proto__', []]]),
    pack([['results', [['id', 'fence']]]]),
    Array<Buffer>(100).fill(Buffer.from('frame')),
    [Buffer.alloc(0), Buffer.alloc(0)],
    workerCodec.encode([{ type: 'heartbeat', lastRun: 1e9, running: 1e9, queued: 1e9 }]),
    workerCodec.encode([{ type: 'results', results: lies }]),
    workerCodec.encode([{ type: 'functionsMissing', functionIds: taskIds.slice() }]),
    workerCodec.encode([{ type: 'goodbye' }]),
    // It joins with no room for a task, and says that it has those of others, and that they have ended.
    workerCodec.encode([{ type: 'hello', ...identity, holding: lies, lastRun: 0, functions: [], connection: 1 }]),
    workerCodec.encode([{ type: 'results', results: lies }]),
    workerCodec.encode([{ type: 'functionsMissing', functionIds: taskIds.slice() }]),
    workerCodec.encode([{ type: 'goodbye' }]),
  ];
  for (let round = 0; round < rounds; round++) for (const message of messages) await stranger.send(message);
  await stranger.send(Buffer.alloc(32 * 1024 * 1024, 0x91));
  await sleep(500);
  stranger.close();
  return rounds * messages.length + 1;
}

/** Ends that a task has not had, forged as well as can be: everything is right but that it has not happened. */
export const forgedEnds = (taskId: string): SettledTask[] => [
  { taskId, state: 'completed', payload: PICKLE },
  { taskId, state: 'failed', payload: PICKLE, failure: { type: 'UserException', message: 'a lie' } },
  { taskId, state: 'cancelled' },
];
