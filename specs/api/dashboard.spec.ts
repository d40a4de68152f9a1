import { expect } from 'chai';
import { get as httpGet } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { EventStream } from '../../api/dashboard/eventStream.js';
import type { Frame, HistoryPoint, Start, Trouble } from '../../api/dashboard/frame.js';
import type { Sighting } from '../../api/dashboard/sampler.js';
import type { TaskLists } from '../../bus/taskLists.js';
import { connectRedis } from '../../bus/redis/connection.js';
import { RedisTaskLists } from '../../bus/redis/redisTaskLists.js';
import { eventually } from '../support/eventually.js';
import { type SpecServer, startRedis } from '../support/servers.js';
import { type ApiFixture, startApi } from './support/apiFixture.js';

const EVERY_MS = 50;
/** What timers may be late or early, and a first look at once. */
const SLACK = 3;

const FRAME: Frame = {
  ...{
    atMs: 1,
    failures: {},
    queues: { high: 0, normal: 0, low: 0 },
    oldestQueuedMs: null,
    workers: {},
    components: {},
  },
  tasks: { blocked: 0, delayed: 0, queued: 0, running: 0, retrying: 0, completed: 0, failed: 0, cancelled: 0 },
  ...{ slots: { busy: 0, total: 0 }, dispatchers: 0, rates: { completed: 0, failed: 0, cancelled: 0 } },
  ...{ latency: null, flows: {} },
};

interface Watcher {
  starts: Start[];
  frames: Frame[];
  troubles: Trouble[];
  ended: boolean;
  close: () => void;
}

describe('the dashboard', () => {
  let redis: SpecServer;
  let connection: ReturnType<typeof connectRedis>;
  let api: ApiFixture;
  let port: number;
  let looks = 0;
  const watchers: Watcher[] = [];

  before(async () => {
    redis = await startRedis();
    connection = connectRedis(redis.url, { lost: () => undefined, restored: () => undefined });
    const lists = new RedisTaskLists(connection, { shards: 1 });
    const counting: TaskLists = Object.create(lists, {
      countTasks: { value: () => (looks++, lists.countTasks()) },
    }) as TaskLists;
    api = await startApi({ redis, lists: counting, dashboard: { everyMs: EVERY_MS, unwatchedEveryMs: 60_000 } });
    await api.app.listen({ host: '127.0.0.1', port: 0 });
    port = (api.app.server.address() as AddressInfo).port;
  });
  afterEach(() => {
    for (const watcher of watchers.splice(0)) watcher.close();
  });
  after(async () => {
    await api.stop();
    connection.disconnect();
    await redis.stop();
  });

  const watch = async (): Promise<Watcher> => {
    const watcher = await openStream(port);
    watchers.push(watcher);
    await eventually('a frame has come', () => watcher.frames.length > 0);
    return watcher;
  };

  describe('its page', () => {
    it('is linked from /, and allows nothing from elsewhere and nothing inline', async () => {
      expect((await api.get('/')).body['links']).to.include({ dashboard: '/dashboard' });
      const { status, headers, text } = await api.get('/dashboard');
      expect(status).to.equal(200);
      expect(headers['content-type']).to.match(/^text\/html/);
      const policy = String(headers['content-security-policy']);
      expect(policy).to.include("default-src 'self'").and.not.include('unsafe');
      expect(policy.match(/https?:|\*/g)).to.equal(null);
      expect(text).not.to.match(/https?:\/\/|src="\/\//);
      // The import map is the one script in the page itself, and its digest the one exception.
      expect(text.match(/<script(?![^>]* src=)/g)).to.have.length(1);
      expect(text).to.not.match(/ on\w+=| style=/);
    });

    it('comes with files that browsers may keep, compressed where asked, each of them there', async () => {
      const page = await api.get('/dashboard');
      const addresses = [...page.text.matchAll(/(?:src|href)="([^"]+)"|"(\/dashboard\/assets[^"]+\.js)"/g)];
      const unique = new Set(addresses.map(([, link, imported]) => link ?? imported ?? ''));
      expect(unique.size).to.be.above(20);
      for (const address of unique) {
        expect(address).to.match(/^\/dashboard\/assets\/[0-9a-f]{12}\//);
        const file = await api.get(address);
        expect(file.status, address).to.equal(200);
        expect(file.headers['cache-control']).to.equal('public, max-age=31536000, immutable');
        expect(file.text, address).to.not.match(/sourceMappingURL|(?:from|import) ?["']https?:/);
        const again = await api.get(address, { 'if-none-match': String(file.headers['etag']) });
        expect([again.status, again.text]).to.deep.equal([304, '']);
      }
      const [script] = [...unique].filter((address) => address.endsWith('/main.js'));
      const gzipped = await api.get(script!.replace('main.js', 'styles.css'), { 'accept-encoding': 'gzip, br' });
      expect(gzipped.headers['content-encoding']).to.equal('gzip');
      expect((await api.get('/dashboard', { 'if-none-match': String(page.headers['etag']) })).status).to.equal(304);
    });

    it('has no other files', async () => {
      const [version] = /[0-9a-f]{12}/.exec((await api.get('/dashboard')).text)!;
      for (const path of ['nothing.js', `${version}/../../../package.json`, `${version}/..%2f..%2fassets.js`, '']) {
        expect((await api.get(`/dashboard/assets/${path}`)).status, path).to.be.oneOf([400, 404]);
      }
    });
  });

  describe('its stream', () => {
    it('begins with the machines as they are defined', async () => {
      const { starts } = await watch();
      const [task, worker, component] = starts[0]!.machines;
      expect([task?.name, worker?.name, component?.name]).to.deep.equal(['task', 'worker', 'component']);
      for (const layout of [task!.wide, task!.tall]) {
        const arrows = layout.lines.flatMap((line) => line.arrows.map(({ id }) => id));
        expect(arrows).to.include.members(['task queued task.claimed running', 'task running task.raised failed']);
        expect(arrows).to.have.length(new Set(arrows).size);
        for (const { x, y, width, height } of layout.states) {
          expect(x - width / 2).to.be.at.least(0);
          expect(x + width / 2).to.be.at.most(layout.width);
          expect(y + height / 2).to.be.at.most(layout.height);
        }
      }
      expect(worker!.wide.lines.flatMap(({ arrows }) => arrows).map(({ id }) => id)).to.include(
        'worker suspect heartbeat.missed lost',
      );
    });

    it('tells the numbers that /stats tells', async () => {
      await Promise.all(Array.from({ length: 5 }, () => api.submit()));
      const claimed = await api.claim();
      await api.finish(claimed.slice(0, 2));
      await api.settle(claimed[2]!, { event: 'task.raised', failure: { type: 'Timeout', message: 'too long' } });
      const cancelled = await api.submit();
      await api.post(`/tasks/${cancelled}/cancel`);
      await api.submit();
      const watcher = await watch();
      const { tasks, failures, queues } = watcher.frames.at(-1)!;
      expect(tasks).to.deep.equal({
        ...{ blocked: 0, delayed: 0, queued: 1, running: 2, retrying: 0, completed: 2, failed: 1, cancelled: 1 },
      });
      expect(failures).to.deep.equal({ Timeout: 1 });
      const stats = (await api.get('/stats')).body;
      expect(stats).to.deep.include({ tasks, failures, queues });
    });

    it('looks as often for five as for one, whatever the load, and not for nobody', async () => {
      const five = await Promise.all(Array.from({ length: 5 }, watch));
      const [before, framesBefore] = [looks, five.map(({ frames }) => frames.length)];
      const begunMs = performance.now();
      while (performance.now() - begunMs < 1_000) await api.submit();
      const most = (performance.now() - begunMs) / EVERY_MS + SLACK;
      expect(looks - before).to.be.within(2, most);
      for (const [place, { frames }] of five.entries()) {
        expect(frames.length - framesBefore[place]!).to.be.within(2, most);
      }
      for (const watcher of watchers.splice(0)) watcher.close();
      await sleep(4 * EVERY_MS);
      const after = looks;
      await sleep(6 * EVERY_MS);
      expect(looks).to.equal(after);
    });

    it('gives who comes later the history at once', async () => {
      const first = await watch();
      await eventually('two points have come', () => first.frames.filter(({ point }) => point).length >= 2);
      const points = first.frames.flatMap(({ point }) => (point ? [point] : []));
      const second = await watch();
      expect(second.starts[0]!.history).to.deep.include.members(points);
    });

    it('keeps nothing for a browser that does not read, and owes it the history', () => {
      const history: HistoryPoint[] = [];
      let tell = (_sighting: Sighting): void => undefined;
      const sampler = { points: history, watch: (watcher: typeof tell) => ((tell = watcher), () => undefined) };
      const start = (): Start => ({ version: '1', nowMs: 0, everyMs: 500, machines: [], history: [...history] });
      const stream = new EventStream(sampler, start);
      stream.read();
      for (let second = 1; second <= 1_000; second++) {
        const point: HistoryPoint = [second, 0, 0, null, null, 0, 0, 0, 0];
        history.push(point);
        tell({ frame: { ...FRAME, point } });
      }
      expect(stream.readableLength).to.be.below(2 * JSON.stringify(FRAME).length);
      stream.read();
      tell({ frame: FRAME });
      expect(String(stream.read())).to.match(/^event: start\n.*\[1000,0/);
      tell({ frame: FRAME });
      expect(String(stream.read())).to.match(/^event: frame\n/);
      stream.destroy();
    });

    it('says so when Redis cannot be read, and ends when the API does', async () => {
      const own = await startApi({ dashboard: { everyMs: EVERY_MS } });
      await own.app.listen({ host: '127.0.0.1', port: 0 });
      const watcher = await openStream((own.app.server.address() as AddressInfo).port);
      watchers.push(watcher);
      await eventually('a frame has come', () => watcher.frames.length > 0);
      await own.redis.stop();
      await eventually('trouble is told', () => watcher.troubles.length > 0);
      expect(watcher.troubles[0]!.detail).to.match(/Redis|store/i);
      await own.stop();
      await eventually('the stream has ended', () => watcher.ended);
    });
  });
});

function openStream(port: number): Promise<Watcher> {
  return new Promise((resolve, reject) => {
    const request = httpGet({ port, host: '127.0.0.1', path: '/dashboard/stream', agent: false }, (response) => {
      const watcher: Watcher = {
        ...{ starts: [], frames: [], troubles: [], ended: false },
        close: () => request.destroy(),
      };
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        const blocks = (text + chunk).split('\n\n');
        text = blocks.pop() ?? '';
        for (const block of blocks) {
          const [, event, data] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
          if (event === 'start') watcher.starts.push(JSON.parse(data!) as Start);
          if (event === 'trouble') watcher.troubles.push(JSON.parse(data!) as Trouble);
          if (event === 'frame') watcher.frames.push(JSON.parse(data!) as Frame);
        }
      });
      response.on('close', () => (watcher.ended = true));
      response.on('error', () => undefined);
      resolve(watcher);
    });
    request.on('error', (error) => reject(error));
  });
}
