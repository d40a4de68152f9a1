import type { ComponentChildren, JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { FunctionPage, FunctionStory } from '../answers.js';
import { call } from '../api.js';
import { bytes, clockTime, count, duration, plural } from '../format.js';
import { shortId } from '../functionName.js';
import { ConfirmButton, type Doing, Said, useDoing } from '../parts/action.js';
import { Empty, ErrorNote } from '../parts/notes.js';
import { type Column, Table } from '../parts/table.js';
import { usePolled } from '../polled.js';
import { address } from '../router.js';

const REFRESH_MS = 3_000;
const PAGE_SIZE = 50;

/** Functions, how long they take, how often they fail. */
export function Functions({ query }: { query: URLSearchParams }): JSX.Element {
  const cursor = query.get('cursor');
  const place = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
  const { answer, error, again } = usePolled<FunctionPage>(`/functions?limit=${PAGE_SIZE}${place}`, REFRESH_MS);
  const doing = useDoing();
  return (
    <>
      <div class="page-head">
        <h1>Functions</h1>
        <p class="muted">Run times are those of tasks that completed; percentiles are exact within 9 %.</p>
      </div>
      <Said doing={doing} />
      {error !== undefined && <ErrorNote error={error} again={again} />}
      <section class="card list" aria-label="Functions, newest first">
        {answer && answer.functions.length > 0 && (
          <Table
            label="Functions"
            columns={columns(doing, again)}
            rows={answer.functions}
            keyOf={({ function_id }) => function_id}
          />
        )}
        {answer?.functions.length === 0 && (
          <Empty title="No functions yet">They show up here as soon as somebody registers one.</Empty>
        )}
        {!answer && error === undefined && <p class="empty">Loading…</p>}
        {(cursor !== null || (answer?.cursor ?? null) !== null) && (
          <nav class="pager" aria-label="Pages of the list">
            {cursor !== null && (
              <a class="button" href={address('/functions')}>
                Newest
              </a>
            )}
            {answer?.cursor != null && (
              <a class="button" href={address('/functions', { cursor: answer.cursor })}>
                Older
              </a>
            )}
          </nav>
        )}
      </section>
    </>
  );
}

const time = (us: number | null): string => (us === null ? '–' : duration(us / 1_000));

function columns(doing: Doing, again: () => void): readonly Column<FunctionStory>[] {
  return [
    {
      head: 'Function',
      isTitle: true,
      cell: ({ name, function_id }) => (
        <a class="task-link" href={address('/tasks', { function: function_id })}>
          <span>{name}</span> <span class="mono muted">{shortId(function_id)}</span>
        </a>
      ),
    },
    { head: 'Completed', isNumber: true, cell: ({ runs }) => count(runs.completed) },
    { head: 'Failed', isNumber: true, cell: (one) => <FailedCount of={one} /> },
    { head: 'Mean', isNumber: true, cell: ({ runs }) => time(runs.mean_us) },
    { head: 'p50', isNumber: true, cell: ({ runs }) => time(runs.p50_us) },
    { head: 'p95', isNumber: true, cell: ({ runs }) => time(runs.p95_us) },
    { head: 'p99', isNumber: true, cell: ({ runs }) => time(runs.p99_us) },
    { head: 'Python', cell: ({ python, needs_python }) => python ?? needs_python ?? 'any' },
    { head: 'Size', isNumber: true, cell: ({ payload_bytes }) => bytes(payload_bytes) },
    { head: 'Registered', cell: ({ registered_at_ms }) => clockTime(registered_at_ms) },
    { head: 'Action', isPlain: true, cell: (one) => <RunFailedAgain of={one} doing={doing} again={again} /> },
  ];
}

function FailedCount({ of: { function_id, runs } }: { of: FunctionStory }): JSX.Element {
  if (runs.failed === 0) return <span>0</span>;
  return <a href={address('/tasks', { function: function_id, status: 'FAILED' })}>{count(runs.failed)}</a>;
}

interface RunAgainAnswer {
  count: number;
  cursor: string | null;
}

function RunFailedAgain(props: { of: FunctionStory; doing: Doing; again: () => void }): JSX.Element | null {
  const { of: one, doing, again } = props;
  const [isBusy, setBusy] = useState(false);
  if (one.runs.failed === 0) return null;
  const runAgain = async (): Promise<ComponentChildren> => {
    setBusy(true);
    try {
      let started = 0;
      let cursor: string | null = null;
      do {
        const body: object = { function: one.function_id, ...(cursor !== null && { cursor }) };
        const answer: RunAgainAnswer = await call('/tasks/run_again', { method: 'POST', body });
        ({ count: started, cursor } = answer);
      } while (started === 0 && cursor !== null);
      again();
      if (started === 0) return `Every failed task of ${one.name} that is kept was run again before.`;
      const more = cursor === null ? '' : ' There may be more: press again.';
      return (
        <>
          {plural(started, 'failed task')} of {one.name} {started === 1 ? 'runs' : 'run'} again.{more}{' '}
          <a href={address('/tasks', { function: one.function_id })}>See them</a>
        </>
      );
    } finally {
      setBusy(false);
    }
  };
  return (
    <ConfirmButton
      label={isBusy ? 'Running…' : 'Run failed again'}
      name={`Run failed again: tasks of ${one.name}`}
      question={`Run the failed tasks of ${one.name} again?`}
      confirm="Run them again"
      onConfirm={() => doing.run(runAgain)}
    >
      Each that has failed and was not run again yet starts anew under a new id, with the same arguments and options, a
      thousand at a time.
    </ConfirmButton>
  );
}
