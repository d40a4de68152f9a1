import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Router } from 'zeromq';
import { DISPATCHER, type Bus } from '../../bus/bus.js';
import { dispatcherCodec, workerCodec } from '../../bus/codec.js';
import type { ControlMessage } from '../../bus/controlMessages.js';
import type { DispatcherMessage, WorkerMessage } from '../../bus/messages.js';
import { NatsBus } from '../../bus/natsBus.js';
import { PullRequestBus, PullRouterBus } from '../../bus/zeromq/pullBus.js';
import { PushDealerBus, PushRouterBus } from '../../bus/zeromq/pushBus.js';
import { until } from '../store/support/until.js';
import { freePort, type SpecServer, startNats } from '../support/servers.js';
import { beat, result, takeBack } from './support/wire.js';

const errors: unknown[] = [];
const onError = (error: unknown): unknown => errors.push(error);
const atDispatcher = { incoming: workerCodec, outgoing: dispatcherCodec, onError };
const atWorker = { incoming: dispatcherCodec, outgoing: workerCodec, onError };
type RouterBus = Bus<WorkerMessage, DispatcherMessage>;
type WorkerBus = Bus<DispatcherMessage, WorkerMessage>;

const WIRES: { name: string; bind: (url: string) => Promise<RouterBus>; connect: (url: string) => WorkerBus }[] = [
  {
    name: 'push',
    bind: (url) => PushRouterBus.bind(url, atDispatcher),
    connect: (url) => new PushDealerBus({ ...atWorker, url }),
  },
  {
    name: 'pull',
    bind: (url) => PullRouterBus.bind(url, atDispatcher),
    connect: (url) => new PullRequestBus({ ...atWorker, url }),
  },
];

for (const { name, bind, connect } of WIRES) {
  describe(`a ${name} worker whose dispatcher goes`, () => {
    let url: string;
    let router: RouterBus;
    let worker: WorkerBus;
    const heard: WorkerMessage[] = [];
    const told: DispatcherMessage[] = [];
    let address = '';
    const startRouter = async (): Promise<void> => {
      router = await bind(url);
      router.listen((message, from) => {
        heard.push(message);
        address = from;
      });
    };
    beforeEach(async () => {
      // ZeroMQ lets go of a port some time after `close`: each spec has its own.
      url = `tcp://127.0.0.1:${await freePort()}`;
      heard.splice(0);
      told.splice(0);
      await startRouter();
      worker = connect(url);
      worker.listen((message) => told.push(message));
      worker.send(DISPATCHER, beat(1));
      await until(() => heard.length === 1);
    });
    afterEach(async () => {
      await worker.close();
      await router.close();
    });

    it('speaks to the next one on the same port, both ways, within two seconds', async () => {
      await router.close();
      await until(startRouter);
      const backAtMs = performance.now();
      await until(async () => {
        worker.send(DISPATCHER, beat(2));
        await sleep(20);
        if (heard.length > 1) router.send(address, takeBack(2));
        return told.length > 0;
      });
      expect(performance.now() - backAtMs).to.be.lessThan(2_000);
      expect(heard.at(-1)).to.deep.equal(beat(2));
      expect(told[0]).to.deep.equal(takeBack(2));
    });

    it('is neither blocked nor harmed while nobody is there, counts what it cannot send, and closes soon', async () => {
      await router.close();
      await sleep(200); // The worker's ZeroMQ has noticed.
      const startedAtMs = performance.now();
      for (let number = 0; number < 5_000; number++) worker.send(DISPATCHER, beat(number));
      expect(performance.now() - startedAtMs).to.be.lessThan(500);
      await worker.close();
      expect(performance.now() - startedAtMs).to.be.lessThan(2_500);
      await until(() => worker.stats.sent + worker.stats.undeliverable === 5_001);
      expect(worker.stats.undeliverable).to.be.greaterThan(0);
    });

    it('does not keep a dispatcher from closing, when it has stopped reading', async () => {
      for (let number = 0; number < 3_000; number++) router.send(address, takeBack(number));
      await worker.close();
      const startedAtMs = performance.now();
      for (let number = 0; number < 3_000; number++) router.send(address, takeBack(number));
      await router.close();
      expect(performance.now() - startedAtMs).to.be.lessThan(1_500);
    });
  });
}

describe('a dispatcher that stops reading', () => {
  it('bounds what a push worker keeps for it, and costs the worker nothing but messages', async function () {
    this.timeout(10_000);
    const silent = new Router({ linger: 0, receiveHighWaterMark: 1 });
    await silent.bind('tcp://127.0.0.1:*');
    const worker = new PushDealerBus({ ...atWorker, url: silent.lastEndpoint! });
    const big: WorkerMessage = { type: 'results', results: [result({ payload: Buffer.alloc(4 * 1024 * 1024) })] };
    for (let number = 0; number < 20; number++) worker.send(DISPATCHER, big);
    const startedAtMs = performance.now();
    await worker.close();
    expect(performance.now() - startedAtMs).to.be.lessThan(2_500);
    silent.close();
  });
});

describe('frames of gathered messages', () => {
  it('are bounded in bytes, so that no frame is refused for its size', async () => {
    const router = new Router({ linger: 0 });
    await router.bind('tcp://127.0.0.1:*');
    const worker = new PushDealerBus({ ...atWorker, url: router.lastEndpoint! });
    const MEBIBYTE = 1024 * 1024;
    for (let number = 0; number < 40; number++) {
      worker.send(DISPATCHER, {
        type: 'results',
        results: [result({ fence: String(number), payload: Buffer.alloc(MEBIBYTE) })],
      });
    }
    const fences: string[] = [];
    let largest = 0;
    while (fences.length < 40) {
      const [, ...frames] = await router.receive();
      largest = Math.max(largest, Buffer.concat(frames).length);
      for (const message of workerCodec.decode(frames[0]!, ...frames.slice(1))!) {
        if (message.type === 'results') fences.push(...message.results.map(({ fence }) => fence));
      }
    }
    expect(fences).to.deep.equal(Array.from({ length: 40 }, (_, number) => String(number)));
    expect(largest).to.be.lessThan(17 * MEBIBYTE);
    await worker.close();
    router.close();
  });
});

describe('a bus on NATS whose server goes', () => {
  let server: SpecServer;
  const events: string[] = [];
  const heard: ControlMessage[] = [];
  const open = (address: string): NatsBus => {
    const bus = new NatsBus({
      url: server.url,
      address,
      topics: ['tasks.queued'],
      events: { lost: () => events.push(`${address} lost`), restored: () => events.push(`${address} restored`) },
      onError,
    });
    bus.listen((message) => heard.push(message));
    return bus;
  };
  const nudge = (count: number): ControlMessage => ({ type: 'tasks.queued', count });

  before(async () => {
    server = await startNats();
  });
  after(() => server.stop());

  it('drops events while it is away, and is restored by itself', async () => {
    const [one, two] = [open('one'), open('two')];
    await until(() => one.connected && two.connected);
    await server.kill('SIGKILL');
    await until(() => events.length === 2);
    expect(one.connected).to.equal(false);
    for (let count = 0; count < 100; count++) one.send('tasks.queued', nudge(count));
    expect(one.stats.undeliverable).to.equal(100);
    await server.restart();
    await until(() => events.length === 4);
    expect(events).to.have.members(['one lost', 'two lost', 'one restored', 'two restored']);
    one.send('tasks.queued', nudge(7));
    await until(() => heard.length > 0);
    await sleep(20);
    expect(heard).to.deep.equal([nudge(7)]);
    await Promise.all([one.close(), two.close()]);
  });

  it('connects when the server comes later than itself', async () => {
    events.splice(0);
    await server.kill('SIGKILL');
    const late = open('late');
    await until(() => events.length === 1);
    late.send('tasks.queued', nudge(1));
    expect(late.stats).to.include({ sent: 0, undeliverable: 1 });
    await server.restart();
    await until(() => late.connected);
    expect(events).to.deep.equal(['late lost', 'late restored']);
    await late.close();
  });

  it('closes soon while the server is away, before and after it was there', async () => {
    const was = open('was');
    await until(() => was.connected);
    await server.kill('SIGKILL');
    const never = open('never');
    await until(() => !was.connected);
    const startedAtMs = performance.now();
    await Promise.all([was.close(), never.close()]);
    expect(performance.now() - startedAtMs).to.be.lessThan(2_000);
    await server.restart();
  });

  it('closes soon when the server is there and silent', async () => {
    const bus = open('patient');
    await until(() => bus.connected);
    await server.kill('SIGSTOP');
    const startedAtMs = performance.now();
    await bus.close();
    expect(performance.now() - startedAtMs).to.be.lessThan(2_500);
    // One that has never answered: the connection stands, and nothing comes of it.
    const unanswered = open('unanswered');
    await sleep(100);
    expect(unanswered.connected).to.equal(false);
    const laterMs = performance.now();
    await unanswered.close();
    expect(performance.now() - laterMs).to.be.lessThan(2_500);
    await server.kill('SIGCONT');
  });
});
