import { expect } from 'chai';
import { PlatformMetrics } from '../../api/metrics/platformMetrics.js';
import type { ControlMessage } from '../../bus/controlMessages.js';
import { gauge, type MetricFamily, TRANSITIONS_NAME } from '../../bus/metricFamilies.js';

const heartbeat = (id: string): ControlMessage => ({
  type: 'component.heartbeat',
  kind: 'dispatcher',
  id,
  state: 'running',
});
const report = (scrape: string, id: string, families: MetricFamily[]): ControlMessage => ({
  type: 'metrics.report',
  scrape,
  kind: 'dispatcher',
  id,
  families,
});
const transitions = (instance: string, value: number): MetricFamily => ({
  name: TRANSITIONS_NAME,
  help: '',
  type: 'counter',
  samples: [
    {
      suffix: '',
      labels: {
        component: 'dispatcher',
        instance,
        machine: 'task',
        from: 'queued',
        event: 'task.claimed',
        to: 'running',
      },
      value,
    },
  ],
});
const up = (families: MetricFamily[]): Record<string, number> =>
  Object.fromEntries(
    (families.find(({ name }) => name === 'mpcsfaas_up')?.samples ?? []).map(({ labels, value }) => [
      labels['instance'] ?? '',
      value,
    ]),
  );

/** Long enough that a busy machine is not taken for one that waits. */
const ANSWER_MS = 500;
const KEPT_MS = 250;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('gathering the metrics of all processes', () => {
  let asked: string[];
  let metrics: PlatformMetrics;
  let isConnected: boolean;
  const answer = { own: 0, platform: () => Promise.resolve([gauge('tasks', '', [[{}, 7]])]) };
  beforeEach(() => {
    asked = [];
    isConnected = true;
    metrics = new PlatformMetrics({
      self: { kind: 'api', id: 'api-1' },
      own: () => Promise.resolve([gauge('own', '', [[{}, ++answer.own]])]),
      platform: () => answer.platform(),
      ask: (scrape) => {
        asked.push(scrape);
        return isConnected;
      },
      answerMs: ANSWER_MS,
      keptMs: KEPT_MS,
    });
  });

  it('joins what is answered, and shows as down who does not answer in time', async () => {
    metrics.onControl(heartbeat('d1'));
    metrics.onControl(heartbeat('d2'));
    const startedAtMs = performance.now();
    const gathering = metrics.gather();
    await Promise.resolve();
    metrics.onControl(report(asked[0]!, 'd1', [gauge('slots', '', [[{ instance: 'd1' }, 2]])]));
    const families = await gathering;
    expect(performance.now() - startedAtMs).to.be.within(ANSWER_MS - 10, 10 * ANSWER_MS);
    expect(up(families)).to.deep.equal({ 'api-1': 1, d1: 1, d2: 0 });
    expect(families.map(({ name }) => name)).to.include.members(['mpcsfaas_own', 'mpcsfaas_tasks', 'mpcsfaas_slots']);
  });

  it('takes nothing that was an answer to somebody else, or came too late', async () => {
    metrics.onControl(heartbeat('d1'));
    const first = metrics.gather();
    await Promise.resolve();
    metrics.onControl(report('another scrape', 'd1', [gauge('stale', '', [[{}, 1]])]));
    expect((await first).map(({ name }) => name)).to.not.include('mpcsfaas_stale');
    metrics.onControl(report(asked[0]!, 'd1', [gauge('stale', '', [[{}, 1]])]));
    await sleep(KEPT_MS + 10);
    const families = await metrics.gather();
    expect(families.map(({ name }) => name)).to.not.include('mpcsfaas_stale');
    expect(up(families)).to.deep.equal({ 'api-1': 1, d1: 0 });
  });

  it('forgets who has said goodbye', async () => {
    metrics.onControl(heartbeat('d1'));
    metrics.onControl({ type: 'component.stopped', kind: 'dispatcher', id: 'd1' });
    expect(up(await metrics.gather())).to.deep.equal({ 'api-1': 1 });
  });

  it('gathers once for all who ask at about the same time, and anew after that', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => metrics.gather()));
    expect(new Set(all).size).to.equal(1);
    await metrics.gather();
    expect(asked).to.have.length(1);
    await sleep(KEPT_MS + 10);
    await metrics.gather();
    expect(asked).to.have.length(2);
  });

  it('answers at once, for itself, while events cannot be sent, and without what Redis does not tell', async () => {
    metrics.onControl(heartbeat('d1'));
    isConnected = false;
    const { platform } = answer;
    answer.platform = () => Promise.reject(new Error('away'));
    const startedAtMs = performance.now();
    const families = await metrics.gather();
    answer.platform = platform;
    expect(performance.now() - startedAtMs).to.be.lessThan(ANSWER_MS - 10);
    expect(up(families)).to.deep.equal({ 'api-1': 1, d1: 0 });
    expect(families.map(({ name }) => name)).to.not.include('mpcsfaas_tasks');
  });

  it('tells how often transitions are made, all processes together, also when one of them is new under its name', async () => {
    const look = async (counts: Record<string, number>): Promise<void> => {
      const flows = metrics.flows();
      await Promise.resolve();
      for (const [id, count] of Object.entries(counts)) {
        metrics.onControl(report(asked.at(-1)!, id, [transitions(id, count)]));
      }
      await flows;
    };
    const beganMs = performance.now();
    await look({ d1: 100, d2: 1_000 });
    await sleep(400);
    await look({ d1: 150, d2: 50 });
    const [flow] = await metrics.flows();
    expect(flow).to.include({ machine: 'task', from: 'queued', event: 'task.claimed', to: 'running', total: 200 });
    // 50 of the one, and the 50 of the other that have been counted anew, in a little over 0.4 seconds.
    const seconds = (performance.now() - beganMs) / 1_000;
    expect(flow!.perSecond).to.be.within(100 / seconds, 100 / 0.39);
  });
});
