import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { call } from './api.js';
import { serverNow } from './stream.js';

export interface Polled<Answer> {
  /** The latest; undefined until the first has come. */
  readonly answer: Answer | undefined;
  /** Of the latest try. */
  readonly error: unknown;
  /** Asks at once, not waiting for the next time. */
  readonly again: () => void;
}

/** What an address of the API answers, asked again `everyMs` after each answer, while the page is looked at. */
export function usePolled<Answer>(path: string, everyMs: number | undefined): Polled<Answer> {
  const [state, setState] = useState<{ path: string; answer?: Answer; error?: unknown }>({ path });
  const [asked, setAsked] = useState(0);
  const again = useCallback(() => setAsked((count) => count + 1), []);
  const isVisible = usePageVisible();
  // What is shown while the tab is hidden need not be fresh, but something must be there.
  const isDue = useRef(true);
  useEffect(() => void (isDue.current = true), [path, asked]);
  useEffect(() => {
    if (!isVisible && !isDue.current) return undefined;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async (): Promise<void> => {
      try {
        const answer = await call<Answer>(path, { signal: abort.signal });
        if (!abort.signal.aborted) setState({ path, answer });
      } catch (error) {
        if (abort.signal.aborted) return;
        setState((known) => ({ ...(known.path === path ? known : { path }), error }));
      }
      isDue.current = false;
      if (everyMs !== undefined && !abort.signal.aborted) timer = setTimeout(() => void ask(), everyMs);
    };
    void ask();
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [path, everyMs, isVisible, asked]);
  const isOfPath = state.path === path;
  return { answer: isOfPath ? state.answer : undefined, error: isOfPath ? state.error : undefined, again };
}

/** False while the tab is hidden: what nobody sees need not be asked for. */
export function usePageVisible(): boolean {
  const [isVisible, setVisible] = useState(document.visibilityState !== 'hidden');
  useEffect(() => {
    const onChange = (): void => setVisible(document.visibilityState !== 'hidden');
    document.addEventListener('visibilitychange', onChange);
    return () => document.removeEventListener('visibilitychange', onChange);
  }, []);
  return isVisible;
}

/** The server's time, at least so often; for what says how long ago something was. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(serverNow());
  const isVisible = usePageVisible();
  useEffect(() => {
    if (!isVisible) return undefined;
    setNow(serverNow());
    const timer = setInterval(() => setNow(serverNow()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs, isVisible]);
  return now;
}
