import type { Redis } from 'ioredis';
import { decodeControl, encodeControl } from '../controlCodec.js';
import type { ControlMessage, SettledTask } from '../controlMessages.js';
import { settledTask } from '../settledTask.js';
import type { Settlement } from '../taskStore.js';

/**
 * The two events that every task has, its being queued and its end, are told by the scripts that make them true, over Redis' own channels: a hop
 * less each way than over NATS, never before it is true, and not lost with who would have sent it. Where nobody listens here, and of all that
 * is not as usual, whoever called the script tells over NATS. Like all events they may get lost, and only make sooner what a look finds.
 *
 * They carry no seal: whoever can publish on Redis could write there as well.
 */
const CHANNELS = { queued: 'mpcsfaas.tasks.queued', settled: 'mpcsfaas.tasks.settled' } as const;

/** What one event carries at most: Redis cuts off a subscriber that has more than 32 MiB outstanding. */
const MAX_EVENT_BYTES = 256 * 1024;
const NOTHING = Buffer.alloc(0);

/** The event for these ends if they come as one may expect: a value is an answer, and so is an exception; or nothing. */
export function foretold(batch: readonly Settlement[]): Buffer {
  const tasks: SettledTask[] = [];
  let bytes = 0;
  for (const settlement of batch) {
    const { event, payload, failure } = settlement;
    if (event !== 'task.succeeded' && event !== 'task.raised') return NOTHING;
    const task = settledTask(settlement, event === 'task.succeeded' ? 'completed' : 'failed');
    bytes += task.payload === undefined ? 0 : payload.length + (failure?.traceback?.length ?? 0);
    tasks.push(task);
  }
  return bytes > MAX_EVENT_BYTES ? NOTHING : encodeControl('', { type: 'tasks.settled', tasks });
}

export type StoreChannel = keyof typeof CHANNELS;

/**
 * Listens on a connection of its own, which takes no other commands then, whenever it is there. Resolves when it is heard for the first time.
 */
export function hearStore(redis: Redis, what: StoreChannel, hear: (message: ControlMessage) => void): Promise<void> {
  redis.on('messageBuffer', (_channel: Buffer, event: Buffer) => {
    if (what === 'queued') {
      const count = Number(event.toString('latin1'));
      if (count > 0) hear({ type: 'tasks.queued', count });
      return;
    }
    const message = decodeControl(event)?.message;
    if (message?.type === 'tasks.settled') hear(message);
  });
  return new Promise((resolve) => {
    redis.on('ready', () => {
      redis.subscribe(CHANNELS[what]).then(
        () => resolve(),
        () => undefined, // Gone again; there will be another `ready`.
      );
    });
  });
}
