import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import type { Frame, HistoryPoint } from '../../frame.js';
import { count, duration, plural, short } from '../format.js';
import { Chart, type Series } from '../parts/chart.js';
import { Machine } from '../parts/machine.js';
import { Tile } from '../parts/tile.js';
import { address } from '../router.js';
import { type Live, useLive } from '../stream.js';

/** The status under which the list of tasks has those of a state. */
const STATUS_OF: Readonly<Record<string, string>> = {
  ...{ blocked: 'QUEUED', delayed: 'QUEUED', queued: 'QUEUED', retrying: 'QUEUED', running: 'RUNNING' },
  ...{ completed: 'COMPLETED', failed: 'FAILED', cancelled: 'CANCELLED' },
};
const TITLES = { task: 'Task machine', worker: 'Worker machine', component: 'Component machine' } as const;
const MACHINE_NOTES = {
  task: 'Each state with the tasks that are in it; ended ones are all there ever were.',
  worker: 'As their dispatchers see them; gone and lost ones since the dispatchers started.',
  component: 'The processes of the platform: APIs, dispatchers, monitors, workers.',
} as const;

/** How the platform stands, and has stood during the last minutes. */
export function Overview(): JSX.Element {
  const live = useLive();
  const { frame, status, detail } = live;
  return (
    <>
      <h1 class="visually-hidden">Overview</h1>
      {status === 'lost' && (
        <div class="note error">
          <p>
            {detail} {frame && 'What is shown is from before.'}
          </p>
        </div>
      )}
      {frame === undefined ? (
        status !== 'lost' && <p class="empty">Connecting to the platform…</p>
      ) : (
        <Standing live={live} frame={frame} />
      )}
    </>
  );
}

function Standing({ live, frame }: { live: Live; frame: Frame }): JSX.Element {
  return (
    <div class="overview">
      <Advice frame={frame} />
      <Tiles frame={frame} />
      <Charts history={live.history} />
      {live.machines.map((drawing) => (
        <section key={drawing.name} class="card machine-card" aria-labelledby={`machine-${drawing.name}`}>
          <header>
            <h2 id={`machine-${drawing.name}`}>{TITLES[drawing.name]}</h2>
            <p class="hint">{MACHINE_NOTES[drawing.name]}</p>
          </header>
          <Machine
            drawing={drawing}
            counts={countsOf(drawing.name, frame)}
            flows={frame.flows}
            {...(drawing.name === 'task' && { linkOf: tasksOf })}
          />
        </section>
      ))}
    </div>
  );
}

/** What keeps tasks from running at all. */
function Advice({ frame }: { frame: Frame }): JSX.Element | null {
  const missing =
    frame.dispatchers === 0
      ? ['No dispatcher runs: tasks wait.', 'make dispatcher']
      : frame.slots.total === 0
        ? ['No worker is connected: tasks wait.', 'make worker']
        : undefined;
  if (!missing) return null;
  return (
    <div class="note doubt">
      <p>
        {missing[0]} Start one with <code>{missing[1]}</code>.
      </p>
    </div>
  );
}

function Tiles({ frame }: { frame: Frame }): JSX.Element {
  const { rates, latency, tasks, queues, slots, workers, failures, oldestQueuedMs } = frame;
  const ended = rates.completed + rates.failed + rates.cancelled;
  const connected = Object.entries(workers).reduce((sum, [state, n]) => (isGone(state) ? sum : sum + n), 0);
  const waiting = tasks.delayed + tasks.retrying + tasks.blocked;
  return (
    <dl class="tiles">
      <Tile label="Throughput" value={rate(ended)} unit="tasks/s">
        {rates.failed > 0 ? `${rate(rates.failed)}/s failing` : 'over the last seconds'}
      </Tile>
      <Tile label="Latency, median" value={latency ? duration(latency.p50Ms) : '–'}>
        {latency ? `95 % within ${duration(latency.p95Ms)}` : 'nothing ended lately'}
      </Tile>
      <Tile label="Queued" value={count(tasks.queued)}>
        {[
          oldestQueuedMs === null ? 'nothing waits' : `oldest ${duration(oldestQueuedMs)}`,
          ...(queues.high > 0 ? [`${count(queues.high)} high`] : []),
          ...(waiting > 0 ? [`${count(waiting)} not due`] : []),
        ].join(', ')}
      </Tile>
      <Tile
        label="Slots busy"
        value={count(slots.busy)}
        unit={`of ${count(slots.total)}`}
        share={slots.total > 0 ? slots.busy / slots.total : 0}
      >
        {plural(connected, 'worker')}, {plural(frame.dispatchers, 'dispatcher')}
      </Tile>
      <Tile label="Completed" value={count(tasks.completed)}>
        <a href={address('/tasks', { status: 'COMPLETED' })}>See them</a>
      </Tile>
      <Tile label="Failed" value={count(tasks.failed)}>
        {tasks.failed === 0 ? 'none' : <FailureTypes failures={failures} />}
      </Tile>
    </dl>
  );
}

/** The two most frequent, and a way to the rest. */
function FailureTypes({ failures }: { failures: Frame['failures'] }): JSX.Element {
  const sorted = Object.entries(failures).sort(([, one], [, other]) => other - one);
  return (
    <>
      {sorted.slice(0, 2).map(([type, number], place) => (
        <span key={type}>
          {place > 0 && ', '}
          <a href={address('/tasks', { failure: type })}>
            {type} {short(number)}
          </a>
        </span>
      ))}
      {sorted.length > 2 && (
        <>
          , <a href={address('/tasks', { status: 'FAILED' })}>more</a>
        </>
      )}
    </>
  );
}

interface ChartPlan {
  title: string;
  series: Series[];
  /** Places of the series in a point of the history. */
  places: (1 | 2 | 3 | 4 | 5 | 6 | 7 | 8)[];
  format: (value: number) => string;
}

const CHARTS: readonly ChartPlan[] = [
  {
    title: 'Throughput',
    series: [
      { label: 'completed', colour: '--good', filled: true },
      { label: 'failed', colour: '--bad' },
    ],
    places: [1, 2],
    format: (value) => `${rate(value)}/s`,
  },
  {
    title: 'Latency',
    series: [
      { label: 'median', colour: '--queued', filled: true },
      { label: '95 %', colour: '--timed' },
    ],
    places: [3, 4],
    format: duration,
  },
  {
    title: 'Queue depth',
    series: [
      { label: 'queued', colour: '--queued', filled: true },
      { label: 'running', colour: '--running' },
    ],
    places: [5, 6],
    format: short,
  },
  {
    title: 'Busy slots',
    series: [
      { label: 'busy', colour: '--running', filled: true },
      { label: 'slots', colour: '--spent', dashed: true },
    ],
    places: [7, 8],
    format: short,
  },
];

function Charts({ history }: { history: readonly HistoryPoint[] }): JSX.Element {
  const columns = useMemo(() => {
    const times = history.map(([atMs]) => atMs / 1_000);
    return { times, of: CHARTS.map(({ places }) => places.map((place) => history.map((point) => point[place]))) };
  }, [history]);
  return (
    <div class="charts">
      {CHARTS.map(({ title, series, format }, place) => (
        <Chart
          key={title}
          title={title}
          series={series}
          times={columns.times}
          values={columns.of[place] ?? []}
          format={format}
        />
      ))}
    </div>
  );
}

const NO_WORKERS = { joining: 0, ready: 0, busy: 0, suspect: 0, draining: 0, gone: 0, lost: 0 };
/** Nobody knows how many have stopped. */
const NO_COMPONENTS = { starting: 0, running: 0, degraded: 0, draining: 0 };
const isGone = (state: string): boolean => state === 'gone' || state === 'lost';

/** Two digits where there are few, none where there are many. */
const rate = (perSecond: number): string =>
  short(perSecond < 10 ? Math.round(perSecond * 10) / 10 : Math.round(perSecond));

function countsOf(machine: string, { tasks, workers, components }: Frame): Record<string, number> {
  if (machine === 'task') return tasks;
  return machine === 'worker' ? { ...NO_WORKERS, ...workers } : { ...NO_COMPONENTS, ...components };
}

function tasksOf(state: string): string | undefined {
  const status = STATUS_OF[state];
  return status === undefined ? undefined : address('/tasks', { status });
}
