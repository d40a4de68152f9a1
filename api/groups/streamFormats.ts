import { joinSmall, pack, packPieces } from '../../bus/packing.js';
import type { Failure } from '../../bus/messages.js';
import { encodeBase64Json } from '../base64.js';
import type { Status } from '../taskStatus.js';

/** One result on its way to a client. */
export interface Delivery {
  index: number;
  taskId: string;
  status: Status | 'UNKNOWN';
  pickle: Buffer;
  failure: Failure | undefined;
}

/** How far a stream has come. */
export interface Progress {
  /** Ranges of the positions delivered so far. */
  cursor: string;
  delivered: number;
  total: number;
  closed: boolean;
}

/** Why a stream ended: nothing more will come; its time is over; this API is stopping, and another one will go on. */
export type EndReason = 'complete' | 'wait' | 'closing';

export interface StreamFormat {
  contentType: string;
  /** To be sent one after the other: large results are not copied. */
  results(deliveries: readonly Delivery[], cursor: () => string): Buffer[];
  heartbeat(progress: Progress): Buffer;
  end(progress: Progress, reason: EndReason): Buffer;
}

export const STREAM_FORMATS = ['ndjson', 'sse', 'msgpack'] as const;
export type StreamFormatName = (typeof STREAM_FORMATS)[number];

/** Written by hand: ids, words and base64 need no escaping. */
const resultText = ({ index, taskId, status, pickle }: Delivery): string =>
  `{"index":${index},"task_id":"${taskId}","status":"${status}","result":"${encodeBase64Json(pickle)}"}`;

const ascii = (text: string): Buffer => Buffer.from(text, 'latin1');

const ndjson: StreamFormat = {
  contentType: 'application/x-ndjson',
  results: (deliveries) => {
    let text = '';
    for (const delivery of deliveries) text += resultText(delivery) + '\n';
    return [ascii(text)];
  },
  heartbeat: (progress) => ascii(`${JSON.stringify({ heartbeat: progress })}\n`),
  end: (progress, reason) => ascii(`${JSON.stringify({ end: { reason, ...progress } })}\n`),
};

/** One event per write, so that its id, the cursor, is taken over by the browser together with the results or not at all. */
const sse: StreamFormat = {
  contentType: 'text/event-stream',
  results: (deliveries, cursor) => [
    ascii(`id: ${cursor()}\nevent: results\ndata: [${deliveries.map(resultText).join(',')}]\n\n`),
  ],
  heartbeat: (progress) => ascii(`event: heartbeat\ndata: ${JSON.stringify(progress)}\n\n`),
  end: (progress, reason) =>
    ascii(`id: ${progress.cursor}\nevent: end\ndata: ${JSON.stringify({ reason, ...progress })}\n\n`),
};

/** Frames: four bytes of length, little-endian, then so many bytes of msgpack. An array has results, a map all else. */
const msgpack: StreamFormat = {
  contentType: 'application/x-msgpack-stream',
  results: (deliveries) => {
    const body = packPieces(
      deliveries.map(({ index, taskId, status, pickle, failure }) => [index, taskId, status, pickle, failure ?? null]),
    );
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32LE(
      body.reduce((sum, piece) => sum + piece.length, 0),
      0,
    );
    return joinSmall([length, ...body]);
  },
  heartbeat: (progress) => frame({ heartbeat: progress }),
  end: (progress, reason) => frame({ end: { reason, ...progress } }),
};

function frame(value: unknown): Buffer {
  const body = pack(value);
  const bytes = Buffer.allocUnsafe(4 + body.length);
  bytes.writeUInt32LE(body.length, 0);
  body.copy(bytes, 4);
  return bytes;
}

export const FORMATS: Record<StreamFormatName, StreamFormat> = { ndjson, sse, msgpack };
