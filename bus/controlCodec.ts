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
import { METRIC_TYPES, type MetricFamily, type MetricSample } from './metricFamilies.js';
import { array, bytes, number, ShapeError, text } from './shapes.js';
import type { TerminalState } from './taskStore.js';

/**
 * A control event on NATS: msgpack `[sender, message]`, the message an object; checked field by field on arrival. Of settled tasks
 * and metrics there are many: each is an array, its fields known by their places.
 */
export function encodeControl(from: string, message: ControlMessage): Buffer {
  switch (message.type) {
    case 'tasks.settled':
      return pack([from, { type: message.type, tasks: message.tasks.map(settledFields) }]);
    case 'metrics.report':
      return pack([from, { ...message, families: message.families.map(familyFields) }]);
    default:
      return pack([from, message]);
  }
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
    case 'metrics.asked':
      return { type, scrape: text(fields.scrape) };
    case 'metrics.report': {
      const from = { kind: toKind(fields.kind), id: text(fields.id) };
      return { type, scrape: text(fields.scrape), ...from, families: array(fields.families).map(toFamily) };
    }
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
  const task: SettledTask = { taskId: text(taskId), state };
  if (payload != null) task.payload = bytes(payload);
  if (failure != null) task.failure = toFailure(failure);
  return task;
}

function familyFields({ name, help, type, samples }: MetricFamily): unknown[] {
  const each = samples.map(({ suffix, labels, value }) => [suffix, Object.entries(labels).flat(), value]);
  return [name, help, METRIC_TYPES.indexOf(type), each];
}

/** Names go into the exposition as they are; help and values of labels are escaped there. */
const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]{0,199}$/;
const LABEL_NAME = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]{0,99}$/;

function toFamily(value: unknown): MetricFamily {
  const [name, help, typeIndex, samples] = array(value);
  const type = METRIC_TYPES[number(typeIndex)];
  if (type === undefined || !METRIC_NAME.test(text(name))) throw new ShapeError();
  return { name: text(name), help: text(help), type, samples: array(samples).map(toSample) };
}

function toSample(value: unknown): MetricSample {
  const [suffix, flat, amount] = array(value);
  const given = array(flat).map(text);
  const labels: Record<string, string> = {};
  for (let place = 0; place < given.length; place += 2) {
    const name = given[place] ?? '';
    if (!LABEL_NAME.test(name)) throw new ShapeError();
    labels[name] = text(given[place + 1]);
  }
  if (!['', '_bucket', '_sum', '_count'].includes(text(suffix))) throw new ShapeError();
  return { suffix: text(suffix), labels, value: number(amount) };
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
