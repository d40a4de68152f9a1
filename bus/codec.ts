import {
  type DispatcherMessage,
  type Failure,
  FAILURE_TYPES,
  type FunctionBody,
  type Outcome,
  type TaskInput,
  type TaskOrder,
  type TaskRef,
  type TaskResult,
  type WorkerMessage,
} from './messages.js';
import { packApart, unpackApart } from './packing.js';
import { orderFields, toOrder } from './orderCodec.js';
import { toUsage, usageFields } from './usageCodec.js';
import { array, bytes, number, ShapeError, text } from './shapes.js';

/**
 * The worker wire's format: one msgpack array of messages per frame, each message an array `[type, ...fields]`. Positions instead
 * of names keep a task at a few dozen bytes beyond its pickle; pickles travel as raw bytes, and large ones as frames of their own behind it,
 * so that nobody copies them.
 *
 * Decoding trusts nothing: what does not have the shape of a message of the expected union yields undefined, never an exception.
 */
export interface Codec<Message> {
  encode(messages: Message[]): Frames;
  /** Undefined when the bytes are not frames of this codec. */
  decode(frame: Uint8Array, ...binaries: Buffer[]): Message[] | undefined;
  /** About how many bytes a message takes: enough to bound a frame. */
  sizeOf(message: Message): number;
}

/** What carries messages: a frame of their own, and one for each of their large binaries. */
export type Frames = [messages: Buffer, ...binaries: Buffer[]];

function codec<Message>(
  toFields: (message: Message) => unknown[],
  fromFields: (fields: unknown[]) => Message,
  sizeOf: (message: Message) => number,
): Codec<Message> {
  return {
    sizeOf,
    encode: (messages) => packApart(messages.map(toFields)),
    decode: (frame, ...binaries) => {
      try {
        return array(unpackApart(frame, binaries)).map((fields) => fromFields(array(fields)));
      } catch (error) {
        if (error instanceof ShapeError) return undefined;
        throw error;
      }
    },
  };
}

export const workerCodec = codec<WorkerMessage>(
  (message) => {
    switch (message.type) {
      case 'hello': {
        const { name, instance, slots, pid, pythonVersion, dillVersion, holding, lastRun, functions, connection } =
          message;
        const software = [pythonVersion, dillVersion];
        const abilities: unknown[] = [message.pythonImplementation, message.labels];
        if (message.sandbox !== undefined) abilities.push(message.sandbox);
        return [
          'hello',
          name,
          instance,
          slots,
          pid,
          ...software,
          holding.map(refFields),
          lastRun,
          functions,
          connection,
          ...abilities,
        ];
      }
      case 'heartbeat':
        return ['heartbeat', message.lastRun, message.running, message.queued, ...usageFields(message.usage)];
      case 'results':
        return ['results', message.results.map(resultFields)];
      case 'output':
        return ['output', ...refFields(message), message.offset, message.length, message.bytes];
      case 'printed':
        return ['printed', ...refFields(message), message.output];
      case 'functionsMissing':
        return ['functionsMissing', message.functionIds];
      case 'draining':
      case 'goodbye':
        return [message.type];
    }
  },
  (fields) => {
    switch (fields[0]) {
      case 'hello':
        return {
          type: 'hello',
          name: text(fields[1]),
          instance: text(fields[2]),
          slots: slotCount(fields[3]),
          pid: number(fields[4]),
          pythonVersion: text(fields[5]),
          dillVersion: text(fields[6]),
          holding: array(fields[7]).map(toRef),
          lastRun: number(fields[8]),
          functions: array(fields[9]).map(text),
          connection: number(fields[10]),
          pythonImplementation: text(fields[11]),
          labels: array(fields[12]).map(text),
          ...(fields[13] != null && { sandbox: text(fields[13]) }),
        };
      case 'heartbeat':
        return {
          ...{ type: 'heartbeat', lastRun: number(fields[1]), running: number(fields[2]), queued: number(fields[3]) },
          ...(fields[4] != null && { usage: toUsage(fields[4]) }),
        };
      case 'results':
        return { type: 'results', results: array(fields[1]).map(toResult) };
      case 'output': {
        const place = { offset: number(fields[3]), length: number(fields[4]) };
        return { type: 'output', ...toRef(fields.slice(1)), ...place, bytes: bytes(fields[5]) };
      }
      case 'printed':
        return { type: 'printed', ...toRef(fields.slice(1)), output: bytes(fields[3]) };
      case 'functionsMissing':
        return { type: 'functionsMissing', functionIds: array(fields[1]).map(text) };
      case 'draining':
      case 'goodbye':
        return { type: fields[0] };
      default:
        throw new ShapeError();
    }
  },
  (message) => {
    switch (message.type) {
      case 'hello':
        return SMALL_BYTES * (1 + message.holding.length + message.functions.length);
      case 'results':
        return total(message.results, resultBytes);
      case 'output':
        return SMALL_BYTES + message.bytes.length;
      case 'printed':
        return SMALL_BYTES + message.output.length;
      case 'functionsMissing':
        return SMALL_BYTES * (1 + message.functionIds.length);
      default:
        return SMALL_BYTES;
    }
  },
);

export const dispatcherCodec = codec<DispatcherMessage>(
  (message) => {
    switch (message.type) {
      case 'welcome': {
        const { dispatcher, heartbeatMs, rejected, dispatchers } = message;
        return ['welcome', dispatcher, heartbeatMs, rejected.map(refFields), dispatchers, message.lastRun];
      }
      case 'heartbeat':
        return ['heartbeat', message.dispatchers];
      case 'run':
        return ['run', message.sequence, message.functions.map(functionFields), message.orders.map(orderFields)];
      case 'functions':
        return ['functions', message.functions.map(functionFields)];
      case 'acknowledge':
        return ['acknowledge', message.settled.map(refFields)];
      case 'abort':
        return ['abort', message.tasks.map(refFields)];
      case 'takeBack':
        return message.among ? ['takeBack', message.limit, message.among] : ['takeBack', message.limit];
      case 'follow':
        return ['follow', ...refFields(message), message.from, message.forMs];
      case 'sayHello':
        return ['sayHello', message.sequence];
      case 'drain':
        return [message.type];
    }
  },
  (fields) => {
    switch (fields[0]) {
      case 'welcome':
        return {
          type: 'welcome',
          dispatcher: text(fields[1]),
          heartbeatMs: number(fields[2]),
          rejected: array(fields[3]).map(toRef),
          dispatchers: array(fields[4]).map(text),
          lastRun: number(fields[5]),
        };
      case 'heartbeat':
        return { type: 'heartbeat', dispatchers: array(fields[1]).map(text) };
      case 'run':
        return {
          type: 'run',
          sequence: number(fields[1]),
          functions: array(fields[2]).map(toFunction),
          orders: array(fields[3]).map(toOrder),
        };
      case 'functions':
        return { type: 'functions', functions: array(fields[1]).map(toFunction) };
      case 'acknowledge':
        return { type: 'acknowledge', settled: array(fields[1]).map(toRef) };
      case 'abort':
        return { type: 'abort', tasks: array(fields[1]).map(toRef) };
      case 'takeBack':
        return {
          type: 'takeBack',
          limit: number(fields[1]),
          ...(fields[2] != null && { among: array(fields[2]).map(text) }),
        };
      case 'follow':
        return { type: 'follow', ...toRef(fields.slice(1)), from: number(fields[3]), forMs: number(fields[4]) };
      case 'sayHello':
        return { type: 'sayHello', sequence: number(fields[1]) };
      case 'drain':
        return { type: fields[0] };
      default:
        throw new ShapeError();
    }
  },
  (message) => {
    switch (message.type) {
      case 'run':
        return total(message.functions, functionBytes) + total(message.orders, orderBytes);
      case 'functions':
        return total(message.functions, functionBytes);
      case 'welcome':
        return SMALL_BYTES * (1 + message.rejected.length);
      case 'acknowledge':
        return SMALL_BYTES * (1 + message.settled.length);
      case 'abort':
        return SMALL_BYTES * (1 + message.tasks.length);
      case 'takeBack':
        return SMALL_BYTES * (1 + (message.among?.length ?? 0));
      default:
        return SMALL_BYTES;
    }
  },
);

/** Ids, fences, numbers of one item. */
const SMALL_BYTES = 100;
const functionBytes = ({ body }: FunctionBody): number => SMALL_BYTES + body.length;
const inputBytes = ({ payload }: TaskInput): number => SMALL_BYTES + payload.length;
const orderBytes = (order: TaskOrder): number =>
  SMALL_BYTES + order.arguments.length + (order.inputs ? total(order.inputs, inputBytes) : 0);
const resultBytes = ({ payload, output, failure }: TaskResult): number =>
  SMALL_BYTES + payload.length + output.length + (failure?.message.length ?? 0) + (failure?.traceback?.length ?? 0);

function total<Item>(items: readonly Item[], bytesOf: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + bytesOf(item), SMALL_BYTES);
}

const refFields = (ref: TaskRef): unknown[] => [ref.taskId, ref.fence];
const functionFields = ({ functionId, body }: FunctionBody): unknown[] => [functionId, body];
/** What most results have none of (failure, output) is at the end and left out. */
function resultFields(r: TaskResult): unknown[] {
  const fields: unknown[] = [
    r.taskId,
    r.fence,
    OUTCOMES.indexOf(r.outcome),
    r.payload,
    r.startedAtMs,
    r.runTimeUs,
    r.peakMemoryKib,
  ];
  if (r.failure || r.output.length > 0) fields.push(r.failure, r.output, r.outputTruncated);
  return fields;
}

const OUTCOMES: readonly Outcome[] = ['completed', 'failed', 'interrupted', 'released'];
const NO_BYTES = Buffer.alloc(0);
/** Of one worker; `SLOTS` allows fewer. */
const MAX_SLOTS = 100_000;

function toRef(value: unknown): TaskRef {
  const fields = array(value);
  return { taskId: text(fields[0]), fence: text(fields[1]) };
}

function toFunction(value: unknown): FunctionBody {
  const fields = array(value);
  return { functionId: text(fields[0]), body: bytes(fields[1]) };
}

function toResult(value: unknown): TaskResult {
  const fields = array(value);
  const outcome = OUTCOMES[number(fields[2])];
  if (outcome === undefined) throw new ShapeError();
  const failure = fields[7] == null ? undefined : toFailure(fields[7]);
  const result: TaskResult = {
    taskId: text(fields[0]),
    fence: text(fields[1]),
    outcome,
    payload: bytes(fields[3]),
    startedAtMs: number(fields[4]),
    runTimeUs: number(fields[5]),
    peakMemoryKib: number(fields[6]),
    output: fields[8] === undefined ? NO_BYTES : bytes(fields[8]),
    outputTruncated: fields[9] === true,
  };
  if (failure) result.failure = failure;
  return result;
}

export function toFailure(value: unknown): Failure {
  if (typeof value !== 'object' || value === null) throw new ShapeError();
  const { type, message, exception, bases, traceback, signal, exitCode } = value as Record<string, unknown>;
  const known = FAILURE_TYPES.find((name) => name === type);
  if (known === undefined) throw new ShapeError();
  return {
    type: known,
    message: text(message),
    ...(exception != null && { exception: text(exception) }),
    ...(bases != null && { bases: array(bases).map(text) }),
    ...(traceback != null && { traceback: text(traceback) }),
    ...(signal != null && { signal: text(signal) }),
    ...(exitCode != null && { exitCode: number(exitCode) }),
  };
}

/** It becomes credit: what no worker can have is no hello. */
function slotCount(value: unknown): number {
  const slots = number(value);
  if (!Number.isInteger(slots) || slots < 1 || slots > MAX_SLOTS) throw new ShapeError();
  return slots;
}
