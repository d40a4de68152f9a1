import type { DispatcherMessage, TaskRef, WorkerMessage } from '../bus/messages.js';
import { FOLLOW_PART_BYTES, FOLLOW_WINDOW_BYTES } from '../bus/outputRecord.js';
import type { Clock } from './clock.js';
import type { ProcessPool } from './processPool.js';

export interface OutputTailsDeps {
  pool: Pick<ProcessPool, 'follow' | 'printed'>;
  clock: Clock;
  send: (message: WorkerMessage) => void;
}

interface Tail extends TaskRef {
  /** Bytes of the record that have been sent. */
  sentTo: number;
  /** Bytes that may be sent before its reader says again how far it is. */
  allowedTo: number;
  untilMs: number;
}

/**
 * Sends what followed attempts print as it comes. A part that is lost, or that a slow reader had no room for, is sent again when
 * the reader asks from where it is; who follows no more is forgotten after a while. The whole is in the result besides.
 */
export class OutputTails {
  private readonly tails = new Map<string, Tail>();

  constructor(private readonly deps: OutputTailsDeps) {}

  follow({ taskId, fence, from, forMs }: Extract<DispatcherMessage, { type: 'follow' }>): void {
    const { pool, clock, send } = this.deps;
    const present = pool.printed({ taskId, fence }, from, 0);
    if (present === undefined) return; // It has just ended: what it printed comes with its result.
    const known = this.tails.get(taskId);
    const tail = known?.fence === fence ? known : { taskId, fence, sentTo: 0, allowedTo: 0, untilMs: 0 };
    this.tails.set(taskId, tail);
    tail.untilMs = Math.max(tail.untilMs, clock.now() + forMs);
    tail.allowedTo = Math.max(tail.allowedTo, from + FOLLOW_WINDOW_BYTES);
    tail.sentTo = Math.min(from, present.length);
    pool.follow(tail, true);
    // Nothing new: the reader learns that it has all there is.
    if (tail.sentTo === present.length) {
      send({ type: 'output', taskId, fence, offset: from, length: present.length, bytes: Buffer.alloc(0) });
    }
    this.printed(tail);
  }

  /** A followed attempt has printed something. */
  printed({ taskId, fence }: TaskRef): void {
    const tail = this.tails.get(taskId);
    if (tail?.fence !== fence) return;
    while (tail.sentTo < tail.allowedTo) {
      const limit = Math.min(FOLLOW_PART_BYTES, tail.allowedTo - tail.sentTo);
      const part = this.deps.pool.printed(tail, tail.sentTo, limit);
      if (part === undefined || part.bytes.length === 0) return;
      const { bytes, length } = part;
      this.deps.send({ type: 'output', taskId, fence, offset: tail.sentTo, length, bytes });
      tail.sentTo += bytes.length;
    }
  }

  /** Forgets whom nobody follows any more; to be called now and then. */
  expire(): void {
    const now = this.deps.clock.now();
    for (const tail of this.tails.values()) {
      if (tail.untilMs >= now) continue;
      this.tails.delete(tail.taskId);
      this.deps.pool.follow(tail, false);
    }
  }
}
