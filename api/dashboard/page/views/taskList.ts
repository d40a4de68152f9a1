import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { hasEnded, type TaskPage, type TaskSummary } from '../answers.js';
import { call } from '../api.js';
import { usePageVisible } from '../polled.js';

/** Rows of a page: as many as the document ever has, however many tasks there are. */
export const PAGE_SIZE = 50;
/** Under a filter that few tasks match the server's pages may be empty: so many are looked through before the user is asked. */
const MAX_LOOKS = 10;
const REFRESH_MS = 2_000;
/** A list that is dear to look up is looked up less often: at most one part in so many of the server's time is asked for. */
const COST_SHARE = 30;

export interface TaskFilter {
  status: string;
  failure: string;
  function: string;
}

export interface TaskListState {
  /** Undefined while the first of them are on their way. */
  readonly tasks: readonly TaskSummary[] | undefined;
  /** Where the page after this begins; null at the end. */
  readonly next: string | null;
  readonly error: unknown;
  /** Tasks that have come since and belong on this page, not shown until the reader wants them. */
  readonly fresh: number;
  /** Shows the page as it would be now. */
  readonly reload: () => void;
}

const NOTHING = { tasks: undefined, next: null, error: undefined, fresh: 0 } as const;

/**
 * A page of the list that stands still: what its tasks become is shown in their rows, what comes new is counted. The server pages: a
 * cursor names a place, so that no page shifts when tasks come.
 */
export function useTaskList(filter: TaskFilter, cursor: string): TaskListState {
  const [state, setState] = useState<Omit<TaskListState, 'reload'>>(NOTHING);
  const [wanted, setWanted] = useState(0);
  const isVisible = usePageVisible();
  const shown = useRef<readonly TaskSummary[]>([]);
  const query = new URLSearchParams(Object.entries(filter).filter(([, value]) => value !== '')).toString();

  useEffect(() => {
    const abort = new AbortController();
    shown.current = [];
    setState((known) => ({ ...known, fresh: 0, error: undefined }));
    loadPage(query, cursor, abort.signal).then(
      ({ tasks, cursor: next }) => {
        shown.current = tasks;
        setState({ ...NOTHING, tasks, next });
      },
      (error: unknown) => {
        if (!abort.signal.aborted) setState({ ...NOTHING, error });
      },
    );
    return () => abort.abort();
  }, [query, cursor, wanted]);

  useEffect(() => {
    if (!isVisible || !state.tasks) return undefined;
    const abort = new AbortController();
    let timer = setTimeout(() => void refresh(), REFRESH_MS);
    const refresh = async (): Promise<void> => {
      const begunMs = performance.now();
      try {
        const seen = shown.current;
        const [changed, fresh] = await Promise.all([
          readAgain(seen, abort.signal),
          cursor === '' ? countFresh(query, seen, abort.signal) : 0,
        ]);
        if (abort.signal.aborted || shown.current !== seen) return;
        shown.current = changed;
        setState((known) => (known.fresh === fresh && changed === seen ? known : { ...known, tasks: changed, fresh }));
      } catch {
        // The next one may come through; what is shown stays.
        if (abort.signal.aborted) return;
      }
      timer = setTimeout(() => void refresh(), Math.max(REFRESH_MS, COST_SHARE * (performance.now() - begunMs)));
    };
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [query, cursor, wanted, isVisible, state.tasks === undefined]);

  return { ...state, reload: useCallback(() => setWanted((count) => count + 1), []) };
}

async function loadPage(query: string, cursor: string, signal: AbortSignal): Promise<TaskPage> {
  const tasks: TaskSummary[] = [];
  let next: string | null = cursor;
  for (let looks = 0; next !== null && tasks.length < PAGE_SIZE && looks < MAX_LOOKS; looks++) {
    const page: TaskPage = await call<TaskPage>(pagePath(query, PAGE_SIZE - tasks.length, next), { signal });
    tasks.push(...page.tasks);
    next = page.cursor;
  }
  return { tasks, cursor: next };
}

/** The same tasks as they are now; those that have ended stay as they are. The very list when nothing has changed. */
async function readAgain(tasks: readonly TaskSummary[], signal: AbortSignal): Promise<readonly TaskSummary[]> {
  const open = tasks.filter((task) => !hasEnded(task)).map(({ task_id }) => task_id);
  if (open.length === 0) return tasks;
  const { tasks: now } = await call<TaskPage>(`/tasks?ids=${open.join()}`, { signal });
  const byId = new Map(now.map((task) => [task.task_id, task]));
  const isSame = tasks.every((task) => {
    const other = byId.get(task.task_id);
    return !other || (other.state === task.state && other.attempts === task.attempts);
  });
  return isSame ? tasks : tasks.map((task) => byId.get(task.task_id) ?? task);
}

async function countFresh(query: string, seen: readonly TaskSummary[], signal: AbortSignal): Promise<number> {
  const { tasks } = await call<TaskPage>(pagePath(query, PAGE_SIZE, ''), { signal });
  const known = new Set(seen.map(({ task_id }) => task_id));
  return tasks.filter(({ task_id }) => !known.has(task_id)).length;
}

function pagePath(query: string, limit: number, cursor: string): string {
  const place = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
  return `/tasks?limit=${limit}${query === '' ? '' : `&${query}`}${place}`;
}
