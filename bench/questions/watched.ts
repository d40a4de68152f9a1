import { setTimeout as sleep } from 'node:timers/promises';
import { runBatch } from '../client/batchClient.js';
import { type Question } from '../support/question.js';
import { rounds, tasksFor } from '../support/rounds.js';
import { medianRatio, spread } from '../support/statistics.js';

const BUDGET_SECONDS = 60;
const CALIBRATION_TASKS = 8_000;
const BROWSERS = 5;
const SCRAPE_MS = 1_000;
const ANSWER_MS = 5_000;

/** Somebody who watches the platform until the signal; answers how many updates or scrapes it got. */
type Watcher = (apiUrl: string, signal: AbortSignal) => Promise<number>;

interface Watching {
  readonly name: string;
  readonly watchers: readonly Watcher[];
  readonly rates: number[];
  seen: number;
}

/** Reads the dashboard's stream as an open page does. */
const dashboard: Watcher = async (apiUrl, signal) => {
  let updates = 0;
  await untilAborted(signal, async () => {
    const { body, status } = await fetch(`${apiUrl}/dashboard/stream`, { signal });
    if (status !== 200 || !body) throw new Error(`/dashboard/stream answers ${status}`);
    const decoder = new TextDecoder();
    for await (const chunk of body) updates += decoder.decode(chunk as Uint8Array).split('\ndata:').length - 1;
  });
  return updates;
};

const scraper: Watcher = async (apiUrl, signal) => {
  let scrapes = 0;
  await untilAborted(signal, async () => {
    for (;;) {
      const nextAt = performance.now() + SCRAPE_MS;
      const answer = await fetch(`${apiUrl}/metrics`, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
      });
      if (!answer.ok) throw new Error(`/metrics answers ${answer.status}`);
      await answer.text();
      scrapes++;
      await sleep(Math.max(0, nextAt - performance.now()), undefined, { signal });
    }
  });
  return scrapes;
};

export const watched: Question = {
  name: 'watched',
  title: `no-op tasks while ${BROWSERS} dashboards are open, and while metrics are scraped each second`,
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

    const tasks = tasksFor(await run(CALIBRATION_TASKS), pace.secondsPerMeasurement);
    const done = await rounds(pace.rounds, BUDGET_SECONDS, async (index) => {
      say(`watched, round ${index + 1}`);
      for (const one of all) {
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

/** @throws when a watcher saw nothing: then nothing was measured */
async function whileWatched(
  apiUrl: string,
  watchers: readonly Watcher[],
  measure: () => Promise<void>,
): Promise<number> {
  const end = new AbortController();
  const seen = watchers.map((watch) => watch(apiUrl, end.signal));
  try {
    await measure();
  } finally {
    end.abort();
  }
  const counts = await Promise.all(seen);
  if (counts.includes(0)) throw new Error('Somebody who watched has seen nothing.');
  return counts.reduce((sum, count) => sum + count, 0);
}

/** What the signal ends has not failed. */
async function untilAborted(signal: AbortSignal, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
