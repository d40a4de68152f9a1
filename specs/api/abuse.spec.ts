import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectNats, type NatsConnection } from 'nats';
import { encodeControl } from '../../bus/controlCodec.js';
import { CONTROL_TOPICS, type ControlMessage } from '../../bus/controlMessages.js';
import { writeRaw } from '../bus/support/wire.js';
import { Random } from '../simulation/random.js';
import { type SpecActor, type SpecPlatform, startPlatform } from '../support/platform.js';
import { residentMiB } from '../support/processTable.js';
import { PythonClient } from '../support/python.js';
import { TaskClient } from '../support/taskClient.js';
import { abuses } from './support/abuses.js';
import { UNKNOWN_ID } from './support/apiFixture.js';
import { forgedEnds, noEvent, sendLies, strangers } from './support/forgeries.js';
import { GoodClients } from './support/goodClients.js';
import { chunks, drops, exchange, type Exchange, flood, post, request } from './support/rawHttp.js';

const SEED = 3;
const CONNECTIONS = 64;
const REQUEST_TIMEOUT_MS = 1_500;
/** Node looks for slow requests once a second; the rest is for a busy machine. */
const TIMED_OUT_WITHIN_MS = REQUEST_TIMEOUT_MS + 1_000 + 4_000;
const MAX_BODY_BYTES = 1024 * 1024;
/** Good clients wait no longer, while everything else goes on on the same two cores. */
const SERVED_WITHIN_MS = 12_000;
/** What a process may be larger by after a round of abuse. */
const GROWTH_MIB = 32;
/** The same where answers pile up that nobody reads; all of them together are several times as much. */
const UNREAD_GROWTH_MIB = 2 * GROWTH_MIB;
/** The heap of an actor may grow fivefold before it is collected (`cli/engine.ts`): after so many rounds it has been. */
const ROUNDS = 8;
const KEPT_REQUESTS = 50_000;

const SLOW = 'def f(x):\n    import time\n    time.sleep(0.3)\n    return x + 1\n';
const SLOW_TASKS = 24;

describe('A platform under abuse', function () {
  this.timeout(120_000);
  let platform: SpecPlatform;
  let python: PythonClient;
  let clients: GoodClients;
  let apiPort: number;
  /** Process ids at the start: none may change. */
  let pids: number[];
  const figures: string[] = [];
  const actors = (): SpecActor[] => [platform.api, platform.monitor, platform.dispatcher, ...platform.workers];

  before(async () => {
    python = new PythonClient();
    const env = { REQUEST_TIMEOUT_MS: String(REQUEST_TIMEOUT_MS), MAX_BODY_BYTES: String(MAX_BODY_BYTES) };
    platform = await startPlatform({ env });
    clients = new GoodClients(platform, python);
    apiPort = Number(new URL(platform.apiUrl).port);
    pids = actors().map(({ pid }) => pid);
    await clients.during(() => sleep(500));
  });
  after(async () => {
    process.stdout.write(figures.map((line) => `      ${line}\n`).join(''));
    await platform.stop();
    await python.stop();
  });
  afterEach('everything still runs, and has not restarted', () => {
    expect(actors().map(({ running }) => running)).to.not.include(false);
    expect(actors().map(({ pid }) => pid)).to.deep.equal(pids);
    for (const actor of actors())
      expect(actor.log(), actor.name).to.not.match(/"level":"?(60|fatal)|a fault of the platform/);
  });

  /**
   * Does it once for warming up, then again while good clients are served, and compares the memory of the process. A heap may
   * grow for some rounds, for want of a collection; what leaks grows in every one.
   */
  async function abuse(
    actor: SpecActor,
    what: string,
    doIt: () => Promise<string>,
    growthMiB = GROWTH_MIB,
  ): Promise<void> {
    await doIt();
    for (let roundsLeft = ROUNDS; roundsLeft > 0; roundsLeft--) {
      const before = residentMiB(actor.pid);
      let told = '';
      const { served, wrong, medianMs, slowestMs } = await clients.during(async () => void (told = await doIt()));
      await sleep(300);
      const after = residentMiB(actor.pid);
      figures.push(
        `${what}: ${told}; ${actor.name} ${before.toFixed(0)} -> ${after.toFixed(0)} MiB; ` +
          `${served} good tasks, median ${medianMs.toFixed(0)} ms, slowest ${slowestMs.toFixed(0)} ms`,
      );
      expect(wrong).to.deep.equal([]);
      expect(served).to.be.greaterThan(1);
      expect(slowestMs).to.be.lessThan(SERVED_WITHIN_MS);
      if (after - before < growthMiB) return;
    }
    expect.fail(`${actor.name} grows: ${figures.slice(-ROUNDS).join('\n')}`);
  }

  describe('its API', () => {
    it('answers garbage on 64 connections with what is wrong with it, never with a fault of its own', async () => {
      const random = new Random(SEED);
      const all = abuses(MAX_BODY_BYTES);
      const perConnection = Math.ceil(all.length / 8);
      await abuse(platform.api, 'garbage', async () => {
        const unexpected: string[] = [];
        let next = 0;
        let count = 0;
        await Promise.all(
          Array.from({ length: CONNECTIONS }, async () => {
            for (let round = 0; round < perConnection; round++) {
              const { name, parts, answers, hangsUp, cutOff } = all[next++ % all.length]!;
              const { status } = await exchange(apiPort, parts(random), { patienceMs: hangsUp ? 20 : 10_000 });
              count++;
              // Where one of them hung up, the answer may have been missed.
              const missed = status === 0 && (hangsUp ?? cutOff ?? false);
              if (!answers.includes(status) && !missed) unexpected.push(`${name}: ${status}`);
            }
          }),
        );
        expect(unexpected).to.deep.equal([]);
        return `${count} connections`;
      });
      expect(platform.api.log()).to.not.contain('request failed');
    });

    it('hangs up on 64 who send a byte now and then, or none', async () => {
      const body = post('/tasks', JSON.stringify({ function_id: 'x'.repeat(2_000) }));
      const wholes: Buffer[] = [
        request('GET', '/health/live', { X: 'x'.repeat(2_000) }),
        body,
        request(
          'POST',
          '/tasks',
          { 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' },
          '5\r\n{"x":\r\n'.repeat(99),
        ),
      ];
      await abuse(platform.api, 'slow', async () => {
        const startMs = performance.now();
        const exchanges = await Promise.all(
          Array.from({ length: CONNECTIONS }, async (_, number): Promise<[Exchange, number]> => {
            const whole = wholes[number % 4];
            // Headers or most of a body byte by byte; the fourth kind sends nothing at all.
            const quick = whole === body ? body.indexOf('\r\n\r\n') + 4 : 0;
            const options = { patienceMs: TIMED_OUT_WITHIN_MS, pauseMs: 50, untilClosed: true };
            const done = await exchange(apiPort, whole ? drops(whole, quick) : [], options);
            return [done, performance.now() - startMs];
          }),
        );
        expect(exchanges.map(([{ closed }]) => closed)).to.not.include(false);
        expect(exchanges.map(([{ status }]) => status).filter((status) => status !== 408)).to.deep.equal([]);
        const slowestMs = Math.max(...exchanges.map(([, ms]) => ms));
        expect(slowestMs).to.be.lessThan(TIMED_OUT_WITHIN_MS);
        return `${CONNECTIONS} hung up on within ${slowestMs.toFixed(0)} ms`;
      });
    });

    it('refuses bodies over the limit, however their length is told', async () => {
      const large = Buffer.alloc(8 * MAX_BODY_BYTES, 'A');
      const json = { 'Content-Type': 'application/json' };
      const chunked = { ...json, 'Transfer-Encoding': 'chunked' };
      const wholes: Buffer[][] = [
        [post('/tasks', large)],
        [post('/register_function', large, { 'Content-Type': 'application/x-msgpack' })],
        [request('POST', '/tasks', chunked), ...chunks(large)],
        [request('POST', '/tasks', { ...json, 'Content-Length': String(2 ** 40) }), large],
        // A lie the other way: what follows the body is no request.
        [request('POST', '/tasks', { ...json, 'Content-Length': String(MAX_BODY_BYTES) }), large],
      ];
      // The last one's rest may be seen first, and is hung up on.
      const expected = [[413], [413], [413], [413], [0, 400, 422]];
      await abuse(platform.api, 'oversize', async () => {
        let peak = 0;
        const watch = setInterval(() => (peak = Math.max(peak, residentMiB(platform.api.pid))), 50);
        const exchanges = await Promise.all(
          Array.from({ length: CONNECTIONS }, (_, number) =>
            exchange(apiPort, wholes[number % wholes.length]!, { patienceMs: 10_000 }),
          ),
        );
        clearInterval(watch);
        const statuses = exchanges.map(({ status }) => status);
        const unexpected = statuses.filter((status, number) => !expected[number % expected.length]!.includes(status));
        expect(unexpected, JSON.stringify(statuses)).to.deep.equal([]);
        return `${CONNECTIONS} bodies of 8 MiB, limit 1 MiB, peak ${peak.toFixed(0)} MiB`;
      });
    });

    it('is not filled by clients that ask and never read', async () => {
      const asking = Buffer.concat(Array<Buffer>(300).fill(request('GET', '/openapi.json', {})));
      await abuse(
        platform.api,
        'never read',
        async () => {
          await Promise.all(
            Array.from({ length: CONNECTIONS }, () => exchange(apiPort, [asking], { patienceMs: 1_000, deaf: true })),
          );
          return `${CONNECTIONS} connections of 300 requests`;
        },
        UNREAD_GROWTH_MIB,
      );
    });

    it('stays as large as it was over 50,000 requests on kept connections', async () => {
      const id = await new TaskClient(platform, python).submitOne(SLOW, [1]);
      const asks = [
        { bytes: request('GET', `/status/${id}`, {}), status: 200 },
        { bytes: request('GET', '/health/live', {}), status: 200 },
        { bytes: request('GET', `/result/${UNKNOWN_ID}`, {}), status: 404 },
        { bytes: post('/execute_function', JSON.stringify({ function_id: UNKNOWN_ID, payload: '!' })), status: 400 },
        { bytes: post('/results', JSON.stringify({ task_ids: [UNKNOWN_ID], wait: -1 })), status: 422 },
      ];
      await abuse(platform.api, 'keep-alive', async () => {
        const ask = (number: number): (typeof asks)[number] => asks[number % asks.length]!;
        const outcome = await flood(apiPort, { connections: 8, requests: KEPT_REQUESTS / 2, depth: 16, ask });
        expect(outcome.wrong, JSON.stringify(outcome.statuses)).to.equal(0);
        return `${KEPT_REQUESTS} requests, the second half in ${outcome.seconds.toFixed(1)} s`;
      });
    });
  });

  describe('while tasks run', () => {
    let ids: string[];
    let client: TaskClient;
    let results: ReturnType<TaskClient['results']>;
    beforeEach(async () => {
      client = new TaskClient(platform, python);
      ids = await client.submit(
        SLOW,
        Array.from({ length: SLOW_TASKS }, (_, number) => [number]),
      );
      results = client.results(ids, 30_000);
      results.catch(() => undefined); // Until somebody looks.
    });

    /** Each with its own value, from its first and only attempt. */
    async function expectUnharmed(): Promise<void> {
      const values = (await results).map(({ status, repr }) => `${status} ${repr}`);
      expect(values).to.deep.equal(ids.map((_, number) => `COMPLETED ${number + 1}`));
      const stories = await Promise.all(ids.map((id) => client.story(id)));
      expect(stories.map(({ attempts }) => attempts)).to.deep.equal(ids.map(() => 1));
    }

    describe('on its NATS', () => {
      let forger: NatsConnection;
      const publish = (message: ControlMessage): void =>
        forger.publish(`mpcsfaas.${message.type}`, encodeControl('forger', message));
      before(async () => {
        forger = await connectNats({ servers: platform.nats.url });
      });
      after(() => forger.close());

      it('lives through noise, large and malformed events', async () => {
        const random = new Random(SEED);
        await abuse(platform.dispatcher, 'NATS noise', async () => {
          let count = 0;
          for (let round = 0; round < 200; round++) {
            for (const topic of CONTROL_TOPICS) {
              forger.publish(`mpcsfaas.${topic}`, noEvent(random, topic));
              count++;
            }
            if (round % 50 === 0)
              for (const topic of CONTROL_TOPICS) forger.publish(`mpcsfaas.${topic}`, Buffer.alloc(2_000_000, 0x91));
            await forger.flush();
          }
          return `${count} events`;
        });
        await expectUnharmed();
      });

      it('believes nobody that a worker is lost, a task cancelled, or a dispatcher gone', async () => {
        const { workers } = (await platform.call('GET', '/workers')).body as { workers: { name: string }[] };
        for (let round = 0; round < 50; round++) {
          for (const { name } of workers) {
            publish({ type: 'worker.lost', worker: name });
            publish({ type: 'worker.drain', worker: name });
          }
          publish({ type: 'worker.lost', worker: 'nobody' });
          publish({ type: 'worker.drain', worker: 'nobody' });
          publish({ type: 'tasks.queued', count: 1e15 });
          publish({ type: 'tasks.cancelled', tasks: ids.map((taskId) => ({ taskId, fence: '1:0123456789abcdef' })) });
          publish({ type: 'component.stopped', kind: 'dispatcher', id: 'nobody' });
          await forger.flush();
          await sleep(20);
        }
        await expectUnharmed();
      });

      it('shows no client a result that Redis does not have', async () => {
        const streamed = fetch(`${platform.apiUrl}/results`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', accept: 'application/x-ndjson', connection: 'close' },
          body: JSON.stringify({ task_ids: ids, wait: 30 }),
        }).then((answer) => answer.text());
        for (let round = 0; round < 50; round++) {
          publish({ type: 'tasks.settled', tasks: [...ids, UNKNOWN_ID].flatMap(forgedEnds) });
          await forger.flush();
          await sleep(20);
        }
        await expectUnharmed();
        const lines = (await streamed)
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as { task_id?: string; result?: string });
        const streamedResults = lines.filter(({ task_id }) => task_id !== undefined);
        expect(streamedResults.length).to.equal(SLOW_TASKS);
        for (const { task_id, result } of streamedResults) {
          expect(await python.loadJson(result!)).to.equal(ids.indexOf(task_id!) + 1);
        }
      });
    });

    it('takes garbage on the port that its workers come to', async () => {
      const random = new Random(SEED);
      await abuse(platform.dispatcher, 'ZeroMQ garbage', async () => {
        let count = 0;
        await Promise.all([
          ...Array.from({ length: CONNECTIONS }, async (_, number) => {
            for (const parts of strangers(random, number)) {
              await writeRaw(platform.dispatcherUrl, ...parts);
              count++;
            }
          }),
          sendLies(platform.dispatcherUrl, random, ids).then((sent) => (count += sent)),
        ]);
        return `${count} connections and messages`;
      });
      await expectUnharmed();
    });
  });
});
