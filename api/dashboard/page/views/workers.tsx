import type { ComponentChildren, JSX } from 'preact';
import type { Dispatcher, Worker } from '../answers.js';
import { call } from '../api.js';
import { ago, clockTime, count, duration, plural, short } from '../format.js';
import { shortId } from '../functionName.js';
import { Badge } from '../parts/badge.js';
import { ConfirmButton, type Doing, Said, useDoing } from '../parts/action.js';
import { Empty, ErrorNote } from '../parts/notes.js';
import { type Column, Table } from '../parts/table.js';
import { useNow, usePolled } from '../polled.js';
import { address } from '../router.js';

/** Heartbeats come once a second. */
const REFRESH_MS = 1_500;
/** What has been silent for longer does not run any more; its record goes a minute after its last word. */
const SILENT_MS = 10_000;
/** Slots that are drawn one by one; of more the share is. */
const MAX_DRAWN_SLOTS = 32;
const MAX_NAMED_FUNCTIONS = 4;

/** Who runs tasks and who hands them out, and the means to send them away in good order. */
export function Workers(): JSX.Element {
  const workers = usePolled<{ workers: Worker[] }>('/workers', REFRESH_MS);
  const dispatchers = usePolled<{ dispatchers: Dispatcher[] }>('/dispatchers', REFRESH_MS);
  const doing = useDoing();
  const now = useNow(1_000);
  const known = workers.answer?.workers ?? [];
  const alive = known.filter(({ heartbeat_at_ms }) => now - heartbeat_at_ms < SILENT_MS);
  const slots = alive.reduce((sum, worker) => sum + worker.slots, 0);
  const busy = alive.reduce((sum, worker) => sum + worker.running, 0);
  return (
    <>
      <div class="page-head">
        <h1>Workers</h1>
        {workers.answer && (
          <p class="muted">
            {plural(alive.length, 'worker')}, {count(busy)} of {plural(slots, 'slot')} busy
          </p>
        )}
      </div>
      <Said doing={doing} />
      {workers.error !== undefined && <ErrorNote error={workers.error} again={workers.again} />}
      <section class="card list" aria-label="Workers">
        {known.length > 0 && (
          <Table label="Workers" columns={workerColumns(now, doing)} rows={known} keyOf={({ name }) => name} />
        )}
        {workers.answer && known.length === 0 && (
          <Empty title="No worker is connected">Tasks wait until one is: mpcsfaas push_worker starts one.</Empty>
        )}
        {!workers.answer && workers.error === undefined && <p class="empty">Loading…</p>}
      </section>
      <h2 class="section-title">Dispatchers</h2>
      {dispatchers.error !== undefined && <ErrorNote error={dispatchers.error} again={dispatchers.again} />}
      <section class="card list" aria-label="Dispatchers">
        {dispatchers.answer && dispatchers.answer.dispatchers.length > 0 && (
          <Table
            label="Dispatchers"
            columns={dispatcherColumns(now, doing)}
            rows={dispatchers.answer.dispatchers}
            keyOf={({ id }) => id}
          />
        )}
        {dispatchers.answer?.dispatchers.length === 0 && (
          <Empty title="No dispatcher is running">Tasks wait in the queue until one is.</Empty>
        )}
      </section>
    </>
  );
}

function workerColumns(now: number, doing: Doing): readonly Column<Worker>[] {
  return [
    { head: 'Worker', isTitle: true, cell: ({ name }) => <span class="name">{name}</span> },
    { head: 'State', isPlain: true, cell: (worker) => <Badge state={stateOf(worker, now)} /> },
    { head: 'Slots', cell: (worker) => <Slots worker={worker} /> },
    { head: 'Waiting', isNumber: true, cell: ({ queued }) => count(queued) },
    { head: 'Heartbeat', cell: ({ heartbeat_at_ms }) => <Ago atMs={heartbeat_at_ms} now={now} /> },
    {
      head: 'Python',
      cell: ({ python_version, python_implementation }) => (
        <>
          {python_implementation} {python_version}
        </>
      ),
    },
    { head: 'Labels', cell: ({ labels }) => labels.map((label) => <Chip key={label}>{label}</Chip>) },
    { head: 'Warm functions', cell: (worker) => <WarmFunctions worker={worker} /> },
    { head: 'Joined', cell: ({ joined_at_ms }) => clockTime(joined_at_ms) },
    { head: 'Dispatcher', cell: ({ dispatcher, mode }) => `${dispatcher} (${mode})` },
    {
      head: 'Action',
      isPlain: true,
      cell: (worker) => (
        <Drain
          kind="worker"
          name={worker.name}
          isOver={!['ready', 'busy', 'suspect'].includes(stateOf(worker, now))}
          doing={doing}
        >
          It takes nothing new, gives back what has not started, finishes what runs ({plural(worker.running, 'task')}{' '}
          now), and ends.
        </Drain>
      ),
    },
  ];
}

function dispatcherColumns(now: number, doing: Doing): readonly Column<Dispatcher>[] {
  return [
    { head: 'Dispatcher', isTitle: true, cell: ({ id }) => <span class="name">{id}</span> },
    { head: 'State', isPlain: true, cell: (one) => <Badge state={stateOf(one, now)} /> },
    { head: 'Mode', cell: ({ mode }) => mode },
    { head: 'Workers', isNumber: true, cell: ({ workers }) => count(workers) },
    { head: 'In flight', isNumber: true, cell: ({ in_flight }) => count(in_flight) },
    { head: 'Unrecorded', isNumber: true, cell: ({ unsettled }) => count(unsettled) },
    { head: 'Completed', isNumber: true, cell: ({ completed }) => count(completed) },
    { head: 'Failed', isNumber: true, cell: ({ failed }) => count(failed) },
    {
      head: 'Ends per s',
      isNumber: true,
      cell: ({ completed_per_s, failed_per_s }) => short(completed_per_s + failed_per_s),
    },
    { head: 'Heartbeat', cell: ({ heartbeat_at_ms }) => <Ago atMs={heartbeat_at_ms} now={now} /> },
    { head: 'Runs for', cell: ({ started_at_ms }) => duration(now - started_at_ms) },
    {
      head: 'Action',
      isPlain: true,
      cell: (one) => (
        <Drain kind="dispatcher" name={one.id} isOver={stateOf(one, now) !== 'running'} doing={doing}>
          It claims nothing new, gives back what has not started, and ends when the rest has. Its workers go to another
          dispatcher, if there is one.
        </Drain>
      ),
    },
  ];
}

/** What it last said of itself, unless that was too long ago. */
function stateOf({ state, heartbeat_at_ms }: { state: string; heartbeat_at_ms: number }, now: number): string {
  return now - heartbeat_at_ms >= SILENT_MS && state !== 'gone' ? 'lost' : state;
}

function Ago({ atMs, now }: { atMs: number; now: number }): JSX.Element {
  return (
    <time dateTime={new Date(atMs).toISOString()} class={now - atMs >= SILENT_MS ? 'bad-text' : undefined}>
      {ago(atMs, now)}
    </time>
  );
}

const Chip = ({ children }: { children: ComponentChildren }): JSX.Element => <span class="chip">{children}</span>;

function Slots({ worker: { running, slots } }: { worker: Worker }): JSX.Element {
  const words = `${count(running)} of ${count(slots)} busy`;
  return (
    <span class="slots">
      <span class="slot-row" aria-hidden="true">
        {slots <= MAX_DRAWN_SLOTS ? (
          Array.from({ length: slots }, (_, index) => <i key={index} class={index < running ? 'slot taken' : 'slot'} />)
        ) : (
          <i class="slot-share">
            <i style={{ width: `${(100 * running) / slots}%` }} />
          </i>
        )}
      </span>
      {words}
    </span>
  );
}

function WarmFunctions({ worker: { functions, warm_functions } }: { worker: Worker }): JSX.Element {
  const named = warm_functions.slice(0, MAX_NAMED_FUNCTIONS);
  const others = functions - named.length;
  return (
    <span class="chips">
      {named.map(({ function_id, name }) => (
        <a key={function_id} class="chip" href={address('/tasks', { function: function_id })}>
          {name ?? shortId(function_id)}
        </a>
      ))}
      {others > 0 && <span class="muted">{named.length === 0 ? count(others) : `and ${count(others)} more`}</span>}
    </span>
  );
}

function Drain(props: {
  kind: 'worker' | 'dispatcher';
  name: string;
  /** There is nobody to drain any more, or it leaves already. */
  isOver: boolean;
  doing: Doing;
  children: ComponentChildren;
}): JSX.Element | null {
  const { kind, name, isOver, doing, children } = props;
  if (isOver) return null;
  const drain = async (): Promise<ComponentChildren> => {
    await call(`/${kind}s/${encodeURIComponent(name)}/drain`, { method: 'POST' });
    return `The ${kind} ${name} was told to drain.`;
  };
  return (
    <ConfirmButton
      label="Drain"
      name={`Drain ${kind} ${name}`}
      question={`Drain the ${kind} ${name}?`}
      confirm="Drain it"
      onConfirm={() => doing.run(drain)}
    >
      {children}
    </ConfirmButton>
  );
}
