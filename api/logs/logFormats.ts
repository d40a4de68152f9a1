import type { OutputPiece } from '../../bus/outputRecord.js';
import { isoTime } from '../times.js';
import { type LogLine, LogLines } from './logLines.js';

/** The end of a log that was followed. `closing`: the task goes on, this API does not; who follows again gets all of it, from another one. */
export interface LogEnd {
  reason: 'complete' | 'closing';
  status: string;
  attempt: number;
  truncated: boolean;
}

/** One client's way to read a log as it comes. */
export interface LogFormat {
  contentType: string;
  /** What was printed by one attempt; a later attempt begins anew. */
  pieces(pieces: readonly OutputPiece[], attempt: number): Buffer;
  /** Undefined where the format has no words for it: then breaking the connection tells that this is not the end. */
  end(end: LogEnd): Buffer | undefined;
  /** Sign of life of a stream that is silent; empty where the format has none. */
  heartbeat(): Buffer;
}

export const LOG_FORMATS = ['json', 'text', 'ndjson', 'sse'] as const;
export type LogFormatName = (typeof LOG_FORMATS)[number];

export const lineFields = ({
  atMs,
  stream,
  text,
}: LogLine): { at: string; stream: LogLine['stream']; text: string } => ({
  at: isoTime(atMs),
  stream,
  text,
});

/** One JSON object per line of output, as `write` wraps it. */
function jsonLines(contentType: string, write: (json: string) => string, heartbeat: string): LogFormat {
  let lines = new LogLines();
  let current = 0;
  const text = (finished: LogLine[], attempt: number): string =>
    finished.map((line) => write(JSON.stringify({ ...lineFields(line), attempt }))).join('');
  const rest = (): string => {
    const unfinished = lines.finish();
    lines = new LogLines();
    return text(unfinished, current);
  };
  return {
    contentType,
    pieces: (pieces, attempt) => {
      const before = attempt === current ? '' : rest();
      current = attempt;
      return Buffer.from(before + text(lines.push(pieces), attempt));
    },
    end: (end) => {
      // A line that the task has not finished is left to who follows again: it would be half of one.
      const last = end.reason === 'complete' ? rest() : '';
      return Buffer.from(last + write(JSON.stringify({ end: true, ...end })));
    },
    heartbeat: () => Buffer.from(heartbeat),
  };
}

/** The bytes themselves. */
function plainText(): LogFormat {
  return {
    contentType: 'text/plain; charset=utf-8',
    pieces: (pieces) => Buffer.concat(pieces.map(({ bytes }) => bytes)),
    end: ({ reason }) => (reason === 'complete' ? Buffer.alloc(0) : undefined),
    heartbeat: () => Buffer.alloc(0),
  };
}

export function followFormat(name: LogFormatName): LogFormat {
  switch (name) {
    case 'text':
      return plainText();
    case 'sse':
      return jsonLines('text/event-stream', (json) => `data: ${json}\n\n`, ': still here\n\n');
    case 'json':
    case 'ndjson':
      return jsonLines('application/x-ndjson', (json) => `${json}\n`, '\n');
  }
}
