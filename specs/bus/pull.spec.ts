import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Router } from 'zeromq';
import { DISPATCHER } from '../../bus/bus.js';
import { dispatcherCodec, workerCodec } from '../../bus/codec.js';
import type { DispatcherMessage, WorkerMessage } from '../../bus/messages.js';
import { PullRequestBus, PullRouterBus } from '../../bus/zeromq/pullBus.js';
import { until } from '../store/support/until.js';
import { beat, takeBack } from './support/wire.js';

const errors: unknown[] = [];
const onError = (error: unknown): unknown => errors.push(error);
const atWorker = { incoming: dispatcherCodec, outgoing: workerCodec, onError };

describe('a pull worker', () => {
  let router: PullRouterBus<WorkerMessage, DispatcherMessage>;
  let worker: PullRequestBus<DispatcherMessage, WorkerMessage>;
  let address = '';
  const arrivals: number[] = [];
  before(async () => {
    router = await PullRouterBus.bind('tcp://127.0.0.1:*', {
      incoming: workerCodec,
      outgoing: dispatcherCodec,
      onError,
    });
    router.listen((_, from) => (address = from));
    worker = new PullRequestBus({ ...atWorker, url: router.endpoint });
    worker.listen(() => arrivals.push(performance.now()));
    worker.send(DISPATCHER, beat(0));
    await until(() => address !== '');
  });
  after(async () => {
    await worker.close();
    await router.close();
  });

  it('has a message within milliseconds while its request is parked', async () => {
    const delays: number[] = [];
    for (let round = 0; round < 50; round++) {
      await sleep(5);
      arrivals.splice(0);
      const sentAtMs = performance.now();
      router.send(address, takeBack(round));
      await until(() => arrivals.length === 1);
      delays.push(arrivals[0]! - sentAtMs);
    }
    delays.sort((a, b) => a - b);
    expect(delays[25]).to.be.lessThan(10);
    // The slowest tell more of the machine than of the bus; none may wait for a timer of it, though.
    expect(delays[49]).to.be.lessThan(500);
  });

  it('can tell while its request is parked', async () => {
    const { received } = router.stats;
    await sleep(20);
    const toldAtMs = performance.now();
    worker.send(DISPATCHER, beat(1));
    await until(() => router.stats.received === received + 1);
    expect(performance.now() - toldAtMs).to.be.lessThan(500);
  });

  it('gets what gathered since its last request in one reply, in order', async () => {
    const limits: number[] = [];
    worker.listen((message) => limits.push(message.type === 'takeBack' ? message.limit : -1));
    for (let number = 0; number < 1_000; number++) router.send(address, takeBack(number));
    await until(() => limits.length === 1_000);
    expect(limits).to.deep.equal(Array.from({ length: 1_000 }, (_, number) => number));
  });

  it('that is idle asks once, and then waits: next to nothing goes over the wire', async () => {
    const counting = new Router({ linger: 0 });
    await counting.bind('tcp://127.0.0.1:*');
    let requests = 0;
    const reading = (async () => {
      for await (const frames of counting) requests += frames.length > 0 ? 1 : 0;
    })();
    const idle = new PullRequestBus({ ...atWorker, url: counting.lastEndpoint! });
    const cpuBefore = process.cpuUsage();
    await sleep(2_500);
    const { user, system } = process.cpuUsage(cpuBefore);
    expect(requests).to.equal(1);
    expect((user + system) / 1_000).to.be.lessThan(250);
    await idle.close();
    counting.close();
    await reading;
  });

  it('that was given work asks for more with what it has to tell of it, or a moment later', async () => {
    const dispatcher = new Router({ linger: 0 });
    await dispatcher.bind('tcp://127.0.0.1:*');
    const requests: { identity: Buffer; kind: string; told: number }[] = [];
    const reading = (async () => {
      for await (const [identity, , kind, , body] of dispatcher) {
        const told = body!.length === 0 ? 0 : workerCodec.decode(body!)!.length;
        requests.push({ identity: identity!, kind: String(kind), told });
      }
    })();
    const busy = new PullRequestBus({ ...atWorker, isWork: () => true, url: dispatcher.lastEndpoint! });
    let answers = 1;
    busy.listen(() => {
      for (; answers > 0; answers--) busy.send(DISPATCHER, beat(answers));
    });
    const kinds = () => requests.map(({ kind, told }) => `${kind}${told}`);
    for (const expected of [['F0'], ['F0', 'F1'], ['F0', 'F1', 'F0']]) {
      await until(() => requests.length === expected.length);
      expect(kinds()).to.deep.equal(expected);
      await dispatcher.send([requests.at(-1)!.identity, '', ...dispatcherCodec.encode([takeBack(1)])]);
    }
    await until(() => requests.length === 4);
    busy.send(DISPATCHER, beat(1)); // Its request is parked.
    await until(() => requests.length === 5);
    expect(kinds().at(-1)).to.equal('S1');
    await busy.close();
    dispatcher.close();
    await reading;
  });

  it('does not storm something that hangs up on it', async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      socket.on('error', () => undefined);
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n', () => socket.destroy());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const lost = new PullRequestBus({ ...atWorker, url: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}` });
    await sleep(500);
    expect(connections).to.be.within(1, 30);
    await lost.close();
    server.close();
    await once(server, 'close');
  });

  it('leaves the messages of a worker that is gone to nobody else', async () => {
    const other = new PullRequestBus({ ...atWorker, url: router.endpoint });
    const told: DispatcherMessage[] = [];
    other.listen((message) => told.push(message));
    const first = address;
    other.send(DISPATCHER, beat(9));
    await until(() => address !== first);
    await worker.close();
    router.send(first, takeBack(1));
    router.send(address, takeBack(2));
    await until(() => told.length > 0);
    expect(told).to.deep.equal([takeBack(2)]);
    await other.close();
  });
});
