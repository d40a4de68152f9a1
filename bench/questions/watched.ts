import { setTimeout as sleep } from 'node:timers/promises';
import { runBatch } from '../client/batchClient.js';
import { type Question } from '../support/question.js';
import { inTurn, rounds, tasksFor } from '../support/rounds.js';
import { medianRatio, spread } from '../support/statistics.js';

const BUDGET_SECONDS = 80;
const CALIBRATION_TASKS = 20_000;
/** More rounds than others have: what is asked for is a twentieth, and single rounds differ by more. */
const TIMES_AS_MANY = 2;
const BROWSERS = 5;
const SCRAPE_MS = 1_000;
const ANSWER_MS = 5_000;

/** Somebody who watches the platform until the signal, and tells of each update or scrape. */
type Watcher = (apiUrl: string, signal: AbortSignal, seen: () => void) => Promise<void>;

interface Watching {
  readonly name: string;
  readonly watchers: readonly Watcher[];
  readonly rates: number[];
  seen: number;
}

/** Reads the dashboard's stream as an open page does. */
const dashboard: Watcher = (apiUrl, signal, seen) =>
  untilAborted(signal, async () => {
    const { body, status } = await fetch(`${apiUrl}/dashboard/stream`, { signal });
    if (status !== 200 || !body) throw new Error(`/dashboard/stream answers ${status}`);
    const decoder = new TextDecoder();
    for await (const chunk of body) if (decoder.decode(chunk as Uint8Array).includes('\ndata:')) seen();
  });

const scraper: Watcher = (apiUrl, signal, seen) =>
  untilAborted(signal, async () => {
    for (;;) {
      const nextAt = performance.now() + SCRAPE_MS;
      const answer = await fetch(`${apiUrl}/metrics`, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
      });
      if (!answer.ok) throw new Error(`/metrics answers ${answer.status}`);
      await answer.text();
      seen();
      await sleep(Math.max(0, nextAt - performance.now()), undefined, { signal });
    }
  });

export const watched: Question = {
  name: 'watched',
  title: `no-op tasks while ${BROWSERS} dashboards are open, and while metrics are scraped each second`,
  usualSeconds: 62,
  ask: async ({ bed, pace, say }) => {
    const { apiUrl } = bed.platform;
    const payload = await bed.pickle('5');
    const run = async (tasks: number): Promise<number> =>
      tasks / (await runBatch(apiUrl, { functionId: bed.functionIds.noop, payload, tasks })).seconds;
    const watching = (name: string, watchers: readonly Watcher[]): Watching => ({ name, watchers, rates: [], seen: 0 });
    const alone = watching('nobody watches', []);
    const dashboards = watching(`${BROWSERS} dashboards open`, Array<Watcher>(BROWSERS).fill(dashboard));
    const scraped = watching('metrics scraped each second', [scraper]);
    const all = [alone, dashboards, scraped];

    const rate = await run(Math.max(2_000, Math.round(CALIBRATION_TASKS * pace.scale)));
    const tasks = tasksFor(rate, pace.secondsPerMeasurement);
    const done = await rounds(pace.rounds * TIMES_AS_MANY, BUDGET_SECONDS * pace.patience, async (index) => {
      say(`watched, round ${index + 1}`);
      for (const one of inTurn(all, index)) {
        one.seen += await whileWatched(apiUrl, one.watchers, async () => void one.rates.push(await run(tasks)));
      }
    });
    const ratio = ({ rates }: Watching): number => medianRatio(rates, alone.rates);
    return {
      tables: [
        {
          title: 'No-op tasks while the platform is watched, bare-bones client',
          columns: ['', 'tasks/s', 'x alone', 'updates or scrapes'],
          rows: all.map((one) => [one.name, spread(one.rates), ratio(one), String(one.seen)]),
          notes: [
            `${done} rounds of ${tasks} tasks by turns; a dashboard here is its stream, read to the end: what a browser costs to draw it is not in this`,
          ],
        },
      ],
      figures: { 'watched.dashboards': ratio(dashboards), 'watched.scraped': ratio(scraped) },
    };
  },
};

/** Measures when everybody has seen something: opening a page, with its history, is not what lasts. Answers how much was seen meanwhile. */
async function whileWatched(
  apiUrl: string,
  watchers: readonly Watcher[],
  measure: () => Promise<void>,
): Promise<number> {
  const end = new AbortController();
  const begun = new Set<number>();
  let seen = 0;
  const watching = Promise.all(
    watchers.map((watch, index) =>
      watch(apiUrl, end.signal, () => {
        begun.add(index);
        seen++;
      }),
    ),
  );
  try {
    const deadlineMs = performance.now() + ANSWER_MS;
    while (begun.size < watchers.length && performance.now() < deadlineMs) await Promise.race([sleep(50), watching]);
    if (begun.size < watchers.length) throw new Error('Somebody who watched has seen nothing.');
    seen = 0;
    await measure();
  } finally {
    end.abort();
  }
  await watching;
  return seen;
}

/** What the signal ends has not failed. */
async function untilAborted(signal: AbortSignal, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
