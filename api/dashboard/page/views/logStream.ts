import { useEffect, useState } from 'preact/hooks';
import { callForResponse } from '../api.js';
import { usePageVisible } from '../polled.js';

/** Lines of one stream that follow each other: one piece of the document. */
export interface LogPiece {
  readonly key: number;
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
}

export interface TaskLogState {
  readonly pieces: readonly LogPiece[];
  /** Lines that were taken out at the beginning. */
  readonly left: number;
  readonly attempt: number | undefined;
  readonly end: { truncated: boolean } | undefined;
  readonly error: unknown;
}

interface LogLine {
  at: string;
  stream: 'stdout' | 'stderr';
  text: string;
  attempt: number;
}
interface LogEnd {
  end: true;
  /** `closing`: the API stops, and the task goes on. */
  reason: 'complete' | 'closing';
  truncated: boolean;
}

/** Lines that are kept for the reader; more would make the document slow. */
const MAX_LINES = 2_000;
/** What comes is shown so often at most. */
const SHOW_MS = 100;
/** An API that has stopped is looked for so often, so many times. */
const AGAIN_MS = 1_000;
const MAX_LOOKS = 30;
const NOTHING: TaskLogState = { pieces: [], left: 0, attempt: undefined, end: undefined, error: undefined };

/** What a task prints, as it prints it, until it has ended. Followed while the page is looked at; `asked` asks anew. */
export function useTaskLog(taskId: string, asked: number): TaskLogState {
  const [state, setState] = useState(NOTHING);
  const isVisible = usePageVisible();
  const isComplete = state.end !== undefined;
  useEffect(() => {
    if (!isVisible || isComplete) return undefined;
    const abort = new AbortController();
    let log = new LineLog();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = (): void => {
      timer = undefined;
      if (!abort.signal.aborted) setState(log.state());
    };
    const read = async (body: ReadableStream<Uint8Array> | null): Promise<'complete' | 'closing'> => {
      for await (const line of linesOf(body)) {
        const said = JSON.parse(line) as LogLine | LogEnd;
        if ('end' in said && said.reason === 'closing') return 'closing';
        log.add(said);
        timer ??= setTimeout(show, SHOW_MS);
      }
      return 'complete';
    };
    const follow = async (): Promise<void> => {
      const path = `/tasks/${encodeURIComponent(taskId)}/logs?follow=1&format=ndjson`;
      for (let looks = 0; !abort.signal.aborted;) {
        try {
          const { body } = await callForResponse(path, { signal: abort.signal });
          // From its beginning again.
          log = new LineLog();
          if ((await read(body)) === 'complete') break;
          looks = 0;
        } catch (error) {
          // What has not been there is not waited for.
          if (looks === 0 || looks > MAX_LOOKS) throw error;
        }
        looks++;
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
      clearTimeout(timer);
      show();
    };
    follow().catch((error: unknown) => {
      if (!abort.signal.aborted) setState({ ...log.state(), error });
    });
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [taskId, isVisible, isComplete, asked]);
  return state;
}

/** The lines so far, those of one stream together, no more than are kept. */
class LineLog {
  private lines: { stream: LogPiece['stream']; text: string }[] = [];
  private left = 0;
  private attempt: number | undefined;
  private end: TaskLogState['end'];

  add(line: LogLine | LogEnd): void {
    if ('end' in line) {
      this.end = { truncated: line.truncated };
      return;
    }
    // It was started again: what is kept is what the last attempt printed.
    if (line.attempt !== this.attempt) {
      this.lines = [];
      this.left = 0;
      this.attempt = line.attempt;
    }
    this.lines.push({ stream: line.stream, text: line.text });
    if (this.lines.length < 2 * MAX_LINES) return;
    this.left += MAX_LINES;
    this.lines.splice(0, MAX_LINES);
  }

  state(): TaskLogState {
    const pieces: { key: number; stream: LogPiece['stream']; text: string }[] = [];
    const hidden = Math.max(0, this.lines.length - MAX_LINES);
    for (const { stream, text } of this.lines.slice(hidden)) {
      const last = pieces.at(-1);
      if (last?.stream === stream) last.text += text;
      else pieces.push({ key: pieces.length, stream, text });
    }
    return { pieces, left: this.left + hidden, attempt: this.attempt, end: this.end, error: undefined };
  }
}

async function* linesOf(body: ReadableStream<Uint8Array> | null): AsyncGenerator<string> {
  if (!body) return;
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    // Empty lines are heartbeats.
    yield* lines.filter((line) => line.trim() !== '');
  }
}
