import { useEffect, useState } from 'preact/hooks';
import type { Frame, HistoryPoint, MachineDrawing, Start, Trouble } from '../frame.js';
import { callForResponse, messageOf } from './api.js';

/** What the page knows of the platform right now. */
export interface Live {
  /** `connecting` at first; `lost` when the stream broke off or the server has nothing to tell: what is shown is old. */
  readonly status: 'connecting' | 'live' | 'lost';
  /** Why it is lost. */
  readonly detail: string;
  readonly version: string;
  readonly machines: readonly MachineDrawing[];
  readonly frame: Frame | undefined;
  /** Oldest first. */
  readonly history: readonly HistoryPoint[];
  /** To add to this browser's clock for the server's. */
  readonly clockAheadMs: number;
}

const HISTORY_MS = 10 * 60_000;
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 5_000;

let live: Live = {
  ...{ status: 'connecting', detail: '', version: '', machines: [], frame: undefined, history: [], clockAheadMs: 0 },
};
const listeners = new Set<(live: Live) => void>();
let connection: AbortController | undefined;

/** Renders anew with every frame, twice a second: for the parts that show one. All share one stream. */
export function useLive(): Live {
  const [seen, setSeen] = useState(live);
  useEffect(() => {
    listeners.add(setSeen);
    setSeen(live);
    return () => void listeners.delete(setSeen);
  }, []);
  return seen;
}

/** The server's clock, as far as the stream has told it. */
export const serverNow = (): number => Date.now() + live.clockAheadMs;

/** Keeps the stream open while the page can be seen. Called once. */
export function keepStreaming(): void {
  const onVisibility = (): void => {
    if (document.hidden) connection?.abort();
    else if (!connection || connection.signal.aborted) void stream();
  };
  document.addEventListener('visibilitychange', onVisibility);
  onVisibility();
}

async function stream(): Promise<void> {
  const own = new AbortController();
  connection = own;
  let retryMs = FIRST_RETRY_MS;
  for (;;) {
    try {
      const response = await callForResponse('/dashboard/stream', { signal: own.signal, accept: 'text/event-stream' });
      await readEvents(response, (event, data) => {
        retryMs = FIRST_RETRY_MS;
        take(event, data);
      });
      throw new Error('The server has ended the stream.');
    } catch (error) {
      if (own.signal.aborted) return;
      change({ status: 'lost', detail: messageOf(error) });
      await new Promise((resolve) => setTimeout(resolve, retryMs));
      retryMs = Math.min(MAX_RETRY_MS, retryMs * 2);
    }
  }
}

/** Server-sent events by `fetch`, since an `EventSource` cannot send the key. */
async function readEvents(response: Response, onEvent: (event: string, data: unknown) => void): Promise<void> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = /^event: (.*)$/m.exec(block)?.[1];
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (event !== undefined && data !== undefined) onEvent(event, JSON.parse(data));
    }
  }
}

function take(event: string, data: unknown): void {
  if (event === 'start') {
    const { version, machines, history, nowMs } = data as Start;
    change({ version, machines, history, clockAheadMs: nowMs - Date.now() });
  } else if (event === 'frame') {
    const { point, ...frame } = data as Frame;
    const history = point ? [...live.history.filter(([atMs]) => atMs > point[0] - HISTORY_MS), point] : live.history;
    change({ status: 'live', detail: '', frame, history });
  } else if (event === 'trouble') change({ status: 'lost', detail: (data as Trouble).detail });
}

function change(news: Partial<Live>): void {
  live = { ...live, ...news };
  for (const listener of listeners) listener(live);
}
