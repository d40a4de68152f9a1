import { toFailure } from './codec.js';
import { pack, unpack } from './packing.js';
import {
  CONTROL_TOPICS,
  type ComponentKind,
  type ControlMessage,
  type SettledTask,
  type WorkerBeat,
} from './controlMessages.js';
import type { TaskRef } from './messages.js';
import { array, bytes, number, ShapeError, text } from './shapes.js';
import type { TerminalState } from './taskStore.js';

/**
 * A control event on NATS: msgpack `[sender, message]`, the message an object; checked field by field on arrival. Of settled tasks
 * there are many: each is an array, its fields known by their places.
 */
export function encodeControl(from: string, message: ControlMessage): Buffer {
  if (message.type !== 'tasks.settled') return pack([from, message]);
  return pack([from, { type: message.type, tasks: message.tasks.map(settledFields) }]);
}

/** Undefined when the bytes are not a control event. */
export function decodeControl(frame: Uint8Array): { from: string; message: ControlMessage } | undefined {
  try {
    const [from, message] = array(unpack(frame));
    return { from: text(from), message: toControl(object(message)) };
  } catch (error) {
    if (error instanceof ShapeError) return undefined;
    throw error;
  }
}

function toControl(fields: Record<string, unknown>): ControlMessage {
  const type = CONTROL_TOPICS.find((topic) => topic === fields.type);
  switch (type) {
    case 'tasks.queued':
      return { type, count: number(fields.count) };
    case 'tasks.settled':
      return { type, tasks: array(fields.tasks).map(toSettled) };
    case 'tasks.cancelled':
      return { type, tasks: array(fields.tasks).map(toRef) };
    case 'task.follow':
      return { type, ...taskAttempt(fields), from: number(fields.from), forMs: number(fields.forMs) };
    case 'task.output': {
      const { offset, length } = fields;
      return {
        ...{ type, ...taskAttempt(fields) },
        ...{ offset: number(offset), length: number(length), bytes: bytes(fields.bytes) },
      };
    }
    case 'worker.heartbeats':
      return { type, dispatcher: text(fields.dispatcher), workers: array(fields.workers).map(toBeat) };
    case 'worker.lost':
    case 'worker.drain':
      return { type, worker: text(fields.worker) };
    case 'dispatcher.drain':
      return { type, dispatcher: text(fields.dispatcher) };
    case 'component.heartbeat': {
      const base = { type, kind: toKind(fields.kind), id: text(fields.id), state: text(fields.state) } as const;
      return fields.address == null ? base : { ...base, address: text(fields.address) };
    }
    case 'component.stopped':
      return { type, kind: toKind(fields.kind), id: text(fields.id) };
    case undefined:
      throw new ShapeError();
  }
}

const TERMINAL: readonly TerminalState[] = ['completed', 'failed', 'cancelled'];
const KINDS: readonly ComponentKind[] = ['api', 'dispatcher', 'worker', 'monitor'];

function settledFields({ taskId, state, payload, failure }: SettledTask): unknown[] {
  const fields: unknown[] = [taskId, TERMINAL.indexOf(state)];
  if (payload !== undefined || failure !== undefined) fields.push(payload ?? null);
  if (failure !== undefined) fields.push(failure);
  return fields;
}

function toSettled(value: unknown): SettledTask {
  const [taskId, stateIndex, payload, failure] = array(value);
  const state = TERMINAL[number(stateIndex)];
  if (state === undefined) throw new ShapeError();
  return {
    taskId: text(taskId),
    state,
    ...(payload != null && { payload: bytes(payload) }),
    ...(failure != null && { failure: toFailure(failure) }),
  };
}

function taskAttempt(fields: Record<string, unknown>): { taskId: string; attempt: number } {
  return { taskId: text(fields.taskId), attempt: number(fields.attempt) };
}

function toRef(value: unknown): TaskRef {
  const fields = object(value);
  return { taskId: text(fields.taskId), fence: text(fields.fence) };
}

function toBeat(value: unknown): WorkerBeat {
  const fields = object(value);
  return {
    name: text(fields.name),
    state: text(fields.state),
    running: number(fields.running),
    queued: number(fields.queued),
  };
}

function toKind(value: unknown): ComponentKind {
  const kind = KINDS.find((name) => name === value);
  if (kind === undefined) throw new ShapeError();
  return kind;
}

function object(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ShapeError();
  return value as Record<string, unknown>;
}
