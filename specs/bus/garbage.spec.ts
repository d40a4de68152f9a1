import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { connect as connectNats, type NatsConnection } from 'nats';
import { Dealer, Router } from 'zeromq';
import { DISPATCHER } from '../../bus/bus.js';
import { dispatcherCodec, workerCodec } from '../../bus/codec.js';
import { pack } from '../../bus/packing.js';
import { encodeControl } from '../../bus/controlCodec.js';
import type { ControlMessage } from '../../bus/controlMessages.js';
import type { DispatcherMessage, WorkerMessage } from '../../bus/messages.js';
import { NatsBus } from '../../bus/natsBus.js';
import { PullRequestBus, PullRouterBus } from '../../bus/zeromq/pullBus.js';
import { PushDealerBus, PushRouterBus } from '../../bus/zeromq/pushBus.js';
import { until } from '../store/support/until.js';
import { type SpecServer, startNats } from '../support/servers.js';
import { beat, takeBack, writeRaw } from './support/wire.js';

const NOTHING = Buffer.alloc(0);
/** Frames that are no batch of messages: noise, foreign shapes, unknown types, fields of other kinds. */
const NO_MESSAGES: Buffer[] = [
  NOTHING,
  Buffer.from('hello'),
  randomBytes(1_000),
  Buffer.from([0xc1]),
  pack(null),
  pack(7),
  pack({ type: 'heartbeat' }),
  pack([7]),
  pack([[]]),
  pack([['invented', 1]]),
  pack([['__proto__']]),
  pack([['heartbeat', 'one', 'two', 'three']]),
  pack([['heartbeat', 1]]),
  pack([['results', [['id', 'fence', 9, NOTHING, 0, 0, 0]]]]),
  pack([['run', 1, 'no list', []]]),
  pack([['heartbeat', 1, 1, 1], ['invented']]),
  pack([['heartbeat', NaN, 1, 1]]),
];
const STRANGERS: (string | Buffer)[][] = [
  ['GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  [randomBytes(4_096)],
  // A greeting of ZeroMQ, then nonsense; one with a frame of 2^63 bytes; half a greeting.
  [
    Buffer.concat([Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0]), Buffer.from('NULL'), Buffer.alloc(48)]),
    randomBytes(200),
  ],
  [
    Buffer.concat([Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0]), Buffer.from('NULL'), Buffer.alloc(48)]),
    Buffer.concat([Buffer.from([0x06, 0x7f]), Buffer.alloc(7, 0xff)]),
  ],
  [Buffer.from([0xff, 0, 0])],
  [''],
];
/** Messages of 2, 3 and 100 frames, where one is expected. */
const MANY_FRAMES = [2, 3, 100].map((count) => Array.from({ length: count }, () => workerCodec.encode([beat(1)])[0]));

describe('garbage on the wire of a push dispatcher', () => {
  let router: PushRouterBus<WorkerMessage, DispatcherMessage>;
  const errors: unknown[] = [];
  const heard: WorkerMessage[] = [];
  before(async () => {
    const options = {
      incoming: workerCodec,
      outgoing: dispatcherCodec,
      onError: (error: unknown) => errors.push(error),
    };
    router = await PushRouterBus.bind('tcp://127.0.0.1:*', options);
    router.listen((message) => heard.push(message));
  });
  after(() => router.close());

  it('is counted and dropped, and reported once', async () => {
    const stranger = new Dealer({ linger: 0 });
    stranger.connect(router.endpoint);
    let bad = 0;
    for (const frames of [...NO_MESSAGES.map((frame) => [frame]), ...MANY_FRAMES]) {
      await stranger.send(frames);
      bad++;
    }
    await stranger.send(workerCodec.encode([beat(42)]));
    await until(() => heard.length > 0);
    stranger.close();
    expect(heard).to.deep.equal([beat(42)]);
    expect(router.stats).to.include({ dropped: bad, received: 1 });
    expect(errors).to.have.length(1);
    expect((errors[0] as Error).message).to.contain('dropped');
  });

  it('may also be what ZeroMQ itself refuses: HTTP, noise, half a greeting, a frame without end', async () => {
    for (const parts of STRANGERS) await writeRaw(router.endpoint, ...parts);
    const dealer = new Dealer({ linger: 0 });
    dealer.connect(router.endpoint);
    await dealer.send(workerCodec.encode([beat(43)]));
    await until(() => heard.length > 1);
    dealer.close();
    expect(heard.at(-1)).to.deep.equal(beat(43));
  });
});

describe('garbage on the wire of a pull dispatcher', () => {
  let router: PullRouterBus<WorkerMessage, DispatcherMessage>;
  const errors: unknown[] = [];
  const heard: WorkerMessage[] = [];
  before(async () => {
    const options = {
      incoming: workerCodec,
      outgoing: dispatcherCodec,
      onError: (error: unknown) => errors.push(error),
    };
    router = await PullRouterBus.bind('tcp://127.0.0.1:*', options);
    router.listen((message) => heard.push(message));
  });
  after(() => router.close());

  it('is counted and dropped, and reported once', async () => {
    const stranger = new Dealer({ linger: 0 });
    stranger.connect(router.endpoint);
    const address = Buffer.from('w-stranger');
    const [good] = workerCodec.encode([beat(42)]);
    const requests: (Buffer | string)[][] = [
      ...NO_MESSAGES.map((body) => [NOTHING, 'S', address, body]),
      ...MANY_FRAMES,
      [NOTHING, 'X', address, good],
      [NOTHING, 'FS', address, good],
      [NOTHING, NOTHING, address, good],
      [NOTHING, 'S', NOTHING, good],
      [NOTHING, 'S', address],
      [NOTHING, 'S', address, good, good],
      ['delimiter', 'S', address, good],
      [NOTHING],
    ];
    for (const frames of requests) await stranger.send(frames);
    await stranger.send([NOTHING, 'S', address, good]);
    await until(() => heard.length > 0);
    stranger.close();
    expect(heard).to.deep.equal([beat(42)]);
    expect(router.stats).to.include({ dropped: requests.length, received: 1 });
    expect(errors).to.have.length(1);
  });

  it('may also be what ZeroMQ itself refuses', async () => {
    for (const parts of STRANGERS) await writeRaw(router.endpoint, ...parts);
    const options = {
      incoming: dispatcherCodec,
      outgoing: workerCodec,
      onError: (error: unknown) => errors.push(error),
    };
    const worker = new PullRequestBus({ ...options, url: router.endpoint });
    worker.send(DISPATCHER, beat(43));
    await until(() => heard.length > 1);
    await worker.close();
  });
});

describe('garbage from what pretends to be a dispatcher', () => {
  const errors: unknown[] = [];
  const heard: DispatcherMessage[] = [];
  const options = { incoming: dispatcherCodec, outgoing: workerCodec, onError: (error: unknown) => errors.push(error) };
  let impostor: Router;
  beforeEach(async () => {
    errors.splice(0);
    heard.splice(0);
    impostor = new Router({ linger: 0 });
    await impostor.bind('tcp://127.0.0.1:*');
  });
  afterEach(() => impostor.close());

  it('is dropped by a push worker', async () => {
    const worker = new PushDealerBus({ ...options, url: impostor.lastEndpoint! });
    worker.listen((message) => heard.push(message));
    worker.send(DISPATCHER, beat(1));
    const [identity] = await impostor.receive();
    const garbage = [...NO_MESSAGES.map((frame) => [frame]), ...MANY_FRAMES];
    for (const frames of garbage) await impostor.send([identity!, ...frames]);
    await impostor.send([identity!, ...dispatcherCodec.encode([takeBack(42)])]);
    await until(() => heard.length > 0);
    expect(heard).to.deep.equal([takeBack(42)]);
    expect(worker.stats.dropped).to.equal(garbage.length);
    expect(errors).to.have.length(1);
    await worker.close();
  });

  it('is dropped by a pull worker, which then asks again', async () => {
    const worker = new PullRequestBus({ ...options, url: impostor.lastEndpoint! });
    worker.listen((message) => heard.push(message));
    const garbage = NO_MESSAGES.filter((frame) => frame.length > 0);
    for (const frame of garbage) {
      const [identity, delimiter] = await impostor.receive();
      await impostor.send([identity!, delimiter!, frame]);
    }
    const [identity, delimiter] = await impostor.receive();
    await impostor.send([identity!, delimiter!, ...dispatcherCodec.encode([takeBack(42)])]);
    await until(() => heard.length > 0);
    expect(heard).to.deep.equal([takeBack(42)]);
    expect(worker.stats.dropped).to.equal(garbage.length);
    expect(errors).to.have.length(1);
    await worker.close();
  });
});

describe('garbage on NATS', () => {
  let server: SpecServer;
  let bus: NatsBus;
  let forger: NatsConnection;
  const errors: unknown[] = [];
  const heard: ControlMessage[] = [];
  before(async () => {
    server = await startNats();
    const topics = ['worker.lost', 'tasks.queued', 'tasks.settled'] as const;
    const events = { lost: () => undefined, restored: () => undefined };
    bus = new NatsBus({ url: server.url, address: 'd', topics, events, onError: (error) => errors.push(error) });
    bus.listen((message) => heard.push(message));
    await until(() => bus.connected);
    forger = await connectNats({ servers: server.url });
  });
  after(async () => {
    await forger.close();
    await bus.close();
    await server.stop();
  });

  it('is counted and dropped, and reported once', async () => {
    const wrong: [subject: string, bytes: Uint8Array][] = [
      ...NO_MESSAGES.map((bytes): [string, Buffer] => ['worker.lost', bytes]),
      ['worker.lost', pack(['forger', { type: 'worker.lost' }])],
      ['worker.lost', pack(['forger', { type: 'worker.lost', worker: 7 }])],
      ['worker.lost', pack([7, { type: 'worker.lost', worker: 'w' }])],
      ['worker.lost', pack(['forger', ['worker.lost', 'w']])],
      // Well formed, but of another topic: whoever may write to one subject must not speak on all.
      ['tasks.queued', encodeControl('forger', { type: 'worker.lost', worker: 'w' })],
      ['tasks.settled', pack(['forger', { type: 'tasks.settled', tasks: [{ taskId: 't', state: 'running' }] }])],
      ['tasks.settled', Buffer.alloc(2_000_000, 0x91)],
    ];
    for (const [topic, bytes] of wrong) forger.publish(`mpcsfaas.${topic}`, bytes);
    forger.publish('mpcsfaas.tasks.queued', encodeControl('real', { type: 'tasks.queued', count: 3 }));
    await until(() => heard.length > 0);
    expect(heard).to.deep.equal([{ type: 'tasks.queued', count: 3 }]);
    expect(bus.stats).to.include({ dropped: wrong.length, received: 1 });
    expect(errors).to.have.length(1);
  });

  it('may be too large to send: that is counted, and nothing throws', async () => {
    const connection = new NatsBus({
      ...{ url: server.url, address: 'big', topics: [] },
      ...{ events: { lost: () => undefined, restored: () => undefined }, onError: (error) => errors.push(error) },
    });
    await until(() => connection.connected);
    const payload = Buffer.alloc(9 * 1024 * 1024);
    const settled = (bytes: Buffer): ControlMessage => ({
      type: 'tasks.settled',
      tasks: [{ taskId: 't', state: 'completed', payload: bytes }],
    });
    connection.send('tasks.settled', settled(payload));
    connection.send('tasks.settled', settled(Buffer.alloc(10)));
    await until(() => heard.length > 1);
    expect(connection.stats).to.include({ sent: 1, undeliverable: 1 });
    expect(heard).to.have.length(2);
    await connection.close();
    await sleep(1);
  });
});
