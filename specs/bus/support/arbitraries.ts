import fc, { type Arbitrary } from 'fast-check';
import type { ControlMessage } from '../../../bus/controlMessages.js';
import {
  type DispatcherMessage,
  type Failure,
  FAILURE_TYPES,
  type TaskRef,
  type TaskResult,
  type WorkerMessage,
} from '../../../bus/messages.js';

/** Texts as people and Python write them; half a character has no place in UTF-8. */
const text = fc.string({ unit: 'grapheme', maxLength: 30 });
const count = fc.nat();
/** JSON has one zero. */
const double = fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Object.is(value, -0));
const number = fc.oneof(fc.nat(), double);
const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
const list = <T>(item: Arbitrary<T>): Arbitrary<T[]> => fc.array(item, { maxLength: 4 });
const ref: Arbitrary<TaskRef> = fc.record({ taskId: text, fence: text });

const failure: Arbitrary<Failure> = fc.record(
  {
    type: fc.constantFrom(...FAILURE_TYPES),
    message: text,
    exception: text,
    bases: list(text),
    traceback: text,
    signal: text,
    exitCode: count,
  },
  { requiredKeys: ['type', 'message'] },
);

const withoutOutput = { output: fc.constant(Buffer.alloc(0)), outputTruncated: fc.constant(false) };
const resultBase = {
  taskId: text,
  fence: text,
  outcome: fc.constantFrom('completed', 'failed', 'interrupted', 'released') as Arbitrary<TaskResult['outcome']>,
  payload: bytes,
  startedAtMs: number,
  runTimeUs: number,
  peakMemoryKib: number,
};
const result: Arbitrary<TaskResult> = fc.oneof(
  fc.record({ ...resultBase, ...withoutOutput }),
  fc.record({ ...resultBase, ...withoutOutput, failure }),
  fc.record({
    ...resultBase,
    output: bytes.filter(({ length }) => length > 0),
    outputTruncated: fc.boolean(),
    failure,
  }),
);
const body = fc.record({ functionId: text, body: bytes });
const input = fc.record({ taskId: text, payload: bytes });
const order = fc.record(
  {
    taskId: text,
    fence: text,
    functionId: text,
    arguments: bytes,
    timeoutMs: number,
    inputs: list(input),
    isolation: fc.constant('fresh' as const),
  },
  { requiredKeys: ['taskId', 'fence', 'functionId', 'arguments', 'timeoutMs'] },
);

type Shapes<Message extends { type: string }> = {
  [Type in Message['type']]: Arbitrary<Omit<Extract<Message, { type: Type }>, 'type'>>;
};

/** A new variant without a shape here does not compile. */
function union<Message extends { type: string }>(shapes: Shapes<Message>): Arbitrary<Message> {
  const variants = Object.entries<Arbitrary<object>>(shapes).map(([type, shape]) =>
    shape.map((fields) => ({ type, ...fields }) as unknown as Message),
  );
  return fc.oneof(...variants);
}

const nothing = fc.constant({});

export const workerMessage = union<WorkerMessage>({
  hello: fc
    .tuple(
      fc.record({
        name: text,
        instance: text,
        slots: fc.integer({ min: 1, max: 100_000 }),
        pid: count,
        pythonVersion: text,
        pythonImplementation: text,
        dillVersion: text,
        labels: list(text),
        holding: list(ref),
        lastRun: count,
        functions: list(text),
        connection: count,
      }),
      fc.option(text, { nil: undefined }),
    )
    .map(([hello, sandbox]) => ({ ...hello, ...(sandbox !== undefined && { sandbox }) })),
  heartbeat: fc.record(
    {
      ...{ lastRun: count, running: count, queued: count },
      usage: fc.record({ cpuSeconds: number, residentBytes: count, loopLagSeconds: number }),
    },
    { requiredKeys: ['lastRun', 'running', 'queued'] },
  ),
  results: fc.record({ results: list(result) }),
  output: fc.record({ taskId: text, fence: text, offset: count, length: count, bytes }),
  printed: fc.record({ taskId: text, fence: text, output: bytes }),
  functionsMissing: fc.record({ functionIds: list(text) }),
  draining: nothing,
  goodbye: nothing,
});

export const dispatcherMessage = union<DispatcherMessage>({
  welcome: fc.record({
    dispatcher: text,
    heartbeatMs: count,
    rejected: list(ref),
    dispatchers: list(text),
    lastRun: count,
  }),
  sayHello: fc.record({ sequence: count }),
  heartbeat: fc.record({ dispatchers: list(text) }),
  run: fc.record({ sequence: count, functions: list(body), orders: list(order) }),
  functions: fc.record({ functions: list(body) }),
  acknowledge: fc.record({ settled: list(ref) }),
  abort: fc.record({ tasks: list(ref) }),
  follow: fc.record({ taskId: text, fence: text, from: count, forMs: count }),
  takeBack: fc.record({ limit: count, among: list(text) }, { requiredKeys: ['limit'] }),
  drain: nothing,
});

const kind = fc.constantFrom('api', 'dispatcher', 'worker', 'monitor') as Arbitrary<'api'>;
const state = fc.constantFrom('completed', 'failed', 'cancelled') as Arbitrary<'completed'>;

const metricFamily = fc.record({
  name: fc.constantFrom('mpcsfaas_up', 'process_cpu_seconds_total'),
  help: text,
  type: fc.constantFrom('counter', 'gauge', 'histogram', 'summary') as Arbitrary<'counter'>,
  samples: list(
    fc.record({
      suffix: fc.constantFrom('', '_bucket', '_sum', '_count'),
      labels: fc.dictionary(fc.constantFrom('component', 'le', 'instance'), text, { noNullPrototype: true }),
      value: double,
    }),
  ),
});

export const controlMessage = union<ControlMessage>({
  'tasks.queued': fc.record({ count }),
  'tasks.settled': fc.record({
    tasks: list(fc.record({ taskId: text, state, payload: bytes, failure }, { requiredKeys: ['taskId', 'state'] })),
  }),
  'tasks.cancelled': fc.record({ tasks: list(ref) }),
  'task.follow': fc.record({ taskId: text, attempt: count, from: count, forMs: count }),
  'task.output': fc.record({ taskId: text, attempt: count, offset: count, length: count, bytes }),
  'worker.heartbeats': fc.record({
    dispatcher: text,
    workers: list(fc.record({ name: text, state: text, running: count, queued: count })),
  }),
  'worker.lost': fc.record({ worker: text }),
  'worker.drain': fc.record({ worker: text }),
  'dispatcher.drain': fc.record({ dispatcher: text }),
  'component.heartbeat': fc.record(
    { kind, id: text, state: text, address: text },
    { requiredKeys: ['kind', 'id', 'state'] },
  ),
  'component.stopped': fc.record({ kind, id: text }),
  'metrics.asked': fc.record({ scrape: text }),
  'metrics.report': fc.record({ scrape: text, kind, id: text, families: list(metricFamily) }),
});

/** A valid frame with some bytes changed, cut off, repeated or put in. */
export function mutated(frame: Arbitrary<Buffer>): Arbitrary<Buffer> {
  const change = fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }), kind: fc.nat({ max: 3 }) });
  return fc.tuple(frame, fc.array(change, { minLength: 1, maxLength: 5 })).map(([original, changes]) => {
    let bytes = Buffer.from(original);
    for (const { at, byte, kind: what } of changes) {
      const position = bytes.length === 0 ? 0 : at % bytes.length;
      if (what === 0 && bytes.length > 0) bytes[position] = byte;
      else if (what === 1) bytes = bytes.subarray(0, position);
      else if (what === 2) bytes = Buffer.concat([bytes, bytes.subarray(position)]);
      else bytes = Buffer.concat([bytes.subarray(0, position), Buffer.from([byte]), bytes.subarray(position)]);
    }
    return bytes;
  });
}
