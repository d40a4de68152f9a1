/**
 * The wire between the pool and a Python runtime process. Its description, in words, is the head of
 * `python/mpcsfaas/runtime_protocol.py`; golden frames of both directions are in `specs/workers/fixtures/frames.json`, which
 * the tests of both languages read.
 *
 * Little-endian header, 13 bytes: u32 token | u32 body length | u8 kind | u32 sequence; then the body.
 */
import type { Writable } from 'node:stream';
import type { Failure, TaskInput, TaskOrder } from '../bus/messages.js';

const FRAME = {
  function: 1,
  task: 2,
  forget: 3,
  taskWithInputs: 4,
  ready: 16,
  completed: 17,
  failed: 18,
  output: 19,
  skipped: 20,
} as const;

const HEADER_BYTES = 13;
const NO_BYTES = Buffer.alloc(0);
/** A task id in text. */
const ID_BYTES = 36;
/** f64 started at, u32 run time, u32 peak memory, u8 flags. */
const ENDED_BYTES = 17;
const FLAG_RECYCLE = 1;
const FLAG_OUTPUT_CUT = 2;
/** A longer body than this is taken for corruption; Node's Buffer could not hold much more. */
const LARGEST_BODY_BYTES = 0x7fff_ffff;

/** How a task's call ended, as the runtime measured it. */
export interface Ended {
  sequence: number;
  /** Wall clock when the function was called, ms since the epoch. */
  startedAtMs: number;
  runTimeUs: number;
  peakMemoryKib: number;
  /** The task left something behind; the process ends by itself after this frame. */
  recycle: boolean;
  outputTruncated: boolean;
  payload: Buffer;
}

interface ReadyFields {
  python_version: string;
  python_implementation: string;
  dill_version: string;
  pid: number;
  sinks: number[];
}

/** What a runtime says. */
export type RuntimeFrame =
  /** First frame: the process can execute. */
  | {
      kind: 'ready';
      pythonVersion: string;
      pythonImplementation: string;
      dillVersion: string;
      pid: number;
      sinks: number[];
    }
  | ({ kind: 'completed' } & Ended)
  | ({ kind: 'failed'; failure: Failure } & Ended)
  /** What the task printed, as entries of an output record; precedes its end. */
  | { kind: 'output'; sequence: number; entries: Buffer }
  /** The task was revoked in time and has not been started. */
  | { kind: 'skipped'; sequence: number };

/** The bytes are no frame of this process: a function wrote into the runtime's pipe, or the runtime is broken. */
export class CorruptWireError extends Error {
  override name = 'CorruptWireError';
}

function header(token: number, kind: number, sequence: number, bodyBytes: number, extraBytes: number): Buffer {
  const head = Buffer.allocUnsafe(HEADER_BYTES + extraBytes);
  head.writeUInt32LE(token, 0);
  head.writeUInt32LE(bodyBytes, 4);
  head[8] = kind;
  head.writeUInt32LE(sequence, 9);
  return head;
}

/** Encoders return pieces to be joined by the writer, so that a body is copied once. */
export function functionFrame(token: number, index: number, body: Buffer): Buffer[] {
  return [header(token, FRAME.function, index, body.length, 0), body];
}

export function taskFrame(token: number, sequence: number, functionIndex: number, args: Buffer): Buffer[] {
  const head = header(token, FRAME.task, sequence, 4 + args.length, 4);
  head.writeUInt32LE(functionIndex, HEADER_BYTES);
  return [head, args];
}

/** A task whose arguments refer to values of others. */
export function taskWithInputsFrame(
  token: number,
  sequence: number,
  functionIndex: number,
  args: Buffer,
  inputs: readonly TaskInput[],
): Buffer[] {
  const pieces: Buffer[] = [];
  let bytes = 8 + args.length;
  for (const { taskId, payload } of inputs) {
    const lead = Buffer.alloc(ID_BYTES + 4);
    lead.write(taskId, 'latin1');
    lead.writeUInt32LE(payload.length, ID_BYTES);
    pieces.push(lead, payload);
    bytes += lead.length + payload.length;
  }
  const head = header(token, FRAME.taskWithInputs, sequence, bytes, 8);
  head.writeUInt32LE(functionIndex, HEADER_BYTES);
  head.writeUInt32LE(inputs.length, HEADER_BYTES + 4);
  return [head, ...pieces, args];
}

/** An order as its frame. */
export function orderFrame(token: number, sequence: number, index: number, order: TaskOrder): Buffer[] {
  const { arguments: args, inputs } = order;
  return inputs ? taskWithInputsFrame(token, sequence, index, args, inputs) : taskFrame(token, sequence, index, args);
}

export function forgetFrame(token: number, index: number): Buffer[] {
  return [header(token, FRAME.forget, index, 0, 0)];
}

/** What is larger is handed to the system in pieces, which costs more per piece and saves copying it. */
const JOIN_BELOW_BYTES = 64 * 1024;

/** Writes the pieces of frames, as one write. */
export function writePieces(output: Writable, pieces: readonly Buffer[]): void {
  const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (bytes < JOIN_BELOW_BYTES) {
    output.write(Buffer.concat(pieces, bytes));
    return;
  }
  output.cork();
  for (const piece of pieces) output.write(piece);
  output.uncork();
}

/** Cuts a stream into frames, however it is chunked. What has come of a frame is put into memory of its size at once. */
export class FrameDecoder {
  /** Less than a header. */
  private rest: Buffer = NO_BYTES;
  /** A frame that has come in part. */
  private frame: Buffer | undefined;
  private filled = 0;
  private spoilt: CorruptWireError | undefined;

  constructor(private readonly token: number) {}

  /** Returns the frames that are whole now. Throws CorruptWireError, and again whatever comes then: who has spoilt the wire is not believed any more. */
  push(chunk: Buffer): RuntimeFrame[] {
    if (this.spoilt) throw this.spoilt;
    try {
      return this.cut(chunk);
    } catch (error) {
      if (error instanceof CorruptWireError) this.spoilt = error;
      throw error;
    }
  }

  private cut(chunk: Buffer): RuntimeFrame[] {
    const frames: RuntimeFrame[] = [];
    let data = chunk;
    if (this.frame) {
      const taken = chunk.copy(this.frame, this.filled);
      this.filled += taken;
      if (this.filled < this.frame.length) return frames;
      frames.push(decodeFrame(this.frame));
      this.frame = undefined;
      data = chunk.subarray(taken);
    } else if (this.rest.length > 0) {
      data = Buffer.concat([this.rest, chunk]);
    }
    let offset = 0;
    while (data.length - offset >= HEADER_BYTES) {
      const end = offset + this.frameBytes(data, offset);
      if (end > data.length) {
        this.frame = Buffer.allocUnsafeSlow(end - offset);
        this.filled = data.copy(this.frame, 0, offset);
        offset = data.length;
        break;
      }
      frames.push(decodeFrame(data.subarray(offset, end)));
      offset = end;
    }
    this.rest = data.subarray(offset);
    return frames;
  }

  /** By the header that begins there. */
  private frameBytes(data: Buffer, offset: number): number {
    if (data.readUInt32LE(offset) !== this.token)
      throw new CorruptWireError('a frame without the token of this process');
    const bodyBytes = data.readUInt32LE(offset + 4);
    if (bodyBytes > LARGEST_BODY_BYTES) throw new CorruptWireError(`a frame of ${bodyBytes} bytes`);
    return HEADER_BYTES + bodyBytes;
  }
}

function decodeFrame(frame: Buffer): RuntimeFrame {
  return decodeBody(frame[8] ?? 0, frame.readUInt32LE(9), frame.subarray(HEADER_BYTES));
}

function decodeBody(kind: number, sequence: number, body: Buffer): RuntimeFrame {
  switch (kind) {
    case FRAME.completed:
      return decodeEnded('completed', sequence, body);
    case FRAME.failed: {
      const ended = decodeEnded('failed', sequence, body);
      if (ended.payload.length < 4) throw new CorruptWireError('a FAILED frame that is too short');
      const metaEnd = 4 + ended.payload.readUInt32LE(0);
      if (metaEnd > ended.payload.length) throw new CorruptWireError('a FAILED frame that is too short');
      const failure = parseJson(ended.payload.subarray(4, metaEnd)) as Failure;
      return { ...ended, kind: 'failed', failure, payload: ended.payload.subarray(metaEnd) };
    }
    case FRAME.output:
      return { kind: 'output', sequence, entries: body };
    case FRAME.skipped:
      return { kind: 'skipped', sequence };
    case FRAME.ready: {
      const ready = parseJson(body) as ReadyFields;
      return {
        kind: 'ready',
        pythonVersion: ready.python_version,
        pythonImplementation: ready.python_implementation,
        dillVersion: ready.dill_version,
        pid: ready.pid,
        sinks: ready.sinks,
      };
    }
    default:
      throw new CorruptWireError(`a frame of unknown kind ${kind}`);
  }
}

function decodeEnded<K extends 'completed' | 'failed'>(kind: K, sequence: number, body: Buffer): { kind: K } & Ended {
  if (body.length < ENDED_BYTES) throw new CorruptWireError('a result frame that is too short');
  const flags = body[16] ?? 0;
  return {
    kind,
    sequence,
    startedAtMs: body.readDoubleLE(0),
    runTimeUs: body.readUInt32LE(8),
    peakMemoryKib: body.readUInt32LE(12),
    recycle: (flags & FLAG_RECYCLE) !== 0,
    outputTruncated: (flags & FLAG_OUTPUT_CUT) !== 0,
    payload: body.subarray(ENDED_BYTES),
  };
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new CorruptWireError('a frame whose JSON cannot be parsed', { cause });
  }
}
