/**
 * `node dist/bench/hops.js [push|pull|local]`: where the time of one round trip goes on an idle platform, hop by hop. Noting the times
 * costs a little itself.
 */
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MODES } from '../bus/config.js';
import { PACKAGE_ROOT } from '../bus/packageRoot.js';
import { eventually } from '../specs/support/eventually.js';
import { HttpConnection } from './client/httpConnection.js';
import { runOne, warmUpForTrips } from './client/singleSubmits.js';
import { type Bed, withBed } from './support/bed.js';
import { openCommand } from './support/command.js';
import { isWholeFile } from './support/cpuProfile.js';
import type { Passage } from './support/hopProbe.js';
import { median, percentile } from './support/statistics.js';
import { tableText } from './support/table.js';

const TRIPS = 1_500;

/** The way of a task, station by station; those that a mode does not have are left out. */
const WAY: readonly (readonly [station: string, hop: string])[] = [
  ['request', 'client -> API: HTTP'],
  ['submit', 'API: reads and checks the request'],
  ['taken', 'API -> Redis -> dispatcher: submit, hand over'],
  ['send run', 'dispatcher: places the task'],
  ['receive run', 'dispatcher -> worker: ZeroMQ'],
  ['to Python', 'worker: chooses a process'],
  ['from Python', 'worker <-> Python: pipes, the call'],
  ['send results', 'worker: reads the result'],
  ['receive results', 'worker -> dispatcher: ZeroMQ'],
  ['settle', 'dispatcher: takes the result'],
  ['hear ended', 'dispatcher -> Redis -> API: settle'],
  ['answer', 'API: finds who waits'],
];
const LAST_HOP = 'API -> client: HTTP';

const { names, pace, print, say } = openCommand('MPCSFaaS hops');
const mode = MODES.find((one) => names.includes(one)) ?? 'push';
const directory = mkdtempSync(join(tmpdir(), 'hops-'));
const env = {
  NODE_OPTIONS: `--import=${join(PACKAGE_ROOT, 'dist', 'bench', 'support', 'hopProbe.js')}`,
  MPCSFAAS_PROFILES: directory,
};
const nowUs = (): number => Number(process.hrtime.bigint() / 1000n);

await withBed({ mode, env }, async (bed) => {
  const { platform } = bed;
  const scale = pace.scale < 1 ? 0.1 : 1;
  const payload = (await bed.pickle('5')).toString('base64');
  await warmUpForTrips(platform.apiUrl, { functionId: bed.functionIds.noop, payload }, scale);
  say(`${TRIPS * scale} round trips in ${mode} mode`);
  const actors = [platform.api, platform.dispatcher, ...platform.workers];
  for (const actor of actors) await actor.kill('SIGUSR2');
  const spans = await trips(bed, TRIPS * scale);
  for (const actor of actors) await actor.kill('SIGUSR2');
  const passages: Passage[] = [];
  for (const { name, pid } of actors) {
    const file = join(directory, `${pid}.json`);
    await eventually(`${name} has written its times`, () => isWholeFile(file));
    passages.push(...(JSON.parse(readFileSync(file, 'utf8')) as { passages: Passage[] }).passages);
  }
  passages.sort(([, a], [, b]) => a - b);
  print(tableText(hopTable(spans, passages)));
});

/** Round trips one after the other: when each began and ended, us. */
async function trips({ platform, functionIds, pickle }: Bed, count: number): Promise<[number, number][]> {
  const payload = (await pickle('5')).toString('base64');
  const body = JSON.stringify({ function_id: functionIds.noop, payload });
  const connection = await HttpConnection.open(platform.apiUrl);
  const spans: [number, number][] = [];
  for (let trip = 0; trip < count; trip++) {
    const begin = nowUs();
    await runOne(connection, body);
    spans.push([begin, nowUs()]);
  }
  connection.close();
  return spans;
}

function hopTable(spans: readonly [number, number][], passages: readonly Passage[]) {
  const hops = new Map<string, number[]>();
  const add = (hop: string, us: number): void => {
    hops.set(hop, [...(hops.get(hop) ?? []), us]);
  };
  let emptyClaims = 0;
  let next = 0;
  for (const [begin, end] of spans) {
    while (next < passages.length && (passages[next]?.[1] ?? 0) < begin) next++;
    const during: Passage[] = [];
    for (; next < passages.length && (passages[next]?.[1] ?? Infinity) <= end; next++)
      during.push(passages[next] as Passage);
    emptyClaims += during.filter(([station]) => station === 'nothing claimed').length;
    let at = begin;
    for (const [station, hop] of WAY) {
      // A claim that finds nothing comes before the one that counts; of all else the first after the station before counts.
      const passed = during.filter(([one, atUs]) => one === station && atUs >= at);
      const passage = station === 'claim' ? lastBefore(passed, during) : passed[0];
      if (!passage) continue;
      add(hop, passage[1] - at);
      at = passage[1];
    }
    add(LAST_HOP, end - at);
  }
  const whole = spans.map(([begin, end]) => end - begin);
  const rows = [...hops].map(([hop, us]) => [hop, median(us), percentile(us, 95)]);
  return {
    title: `One round trip in ${mode} mode, hop by hop, us`,
    columns: ['hop', 'p50', 'p95'],
    rows: [...rows, ['in all', median(whole), percentile(whole, 95)]],
    notes: [
      `claims that came before the task was there: ${((100 * emptyClaims) / spans.length).toFixed(0)} in 100 trips`,
    ],
  };
}

/** The claim that found the task. */
function lastBefore(claims: readonly Passage[], during: readonly Passage[]): Passage | undefined {
  const claimed = during.find(([station]) => station === 'claimed');
  return claims.filter(([, atUs]) => atUs <= (claimed?.[1] ?? 0)).at(-1);
}
