import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Dealer, Request } from 'zeromq';
import { type Bus, DISPATCHER } from '../../bus/bus.js';
import { dispatcherCodec, workerCodec } from '../../bus/codec.js';
import type { DispatcherMessage, WorkerMessage } from '../../bus/messages.js';
import { PullRequestBus, PullRouterBus } from '../../bus/zeromq/pullBus.js';
import { PushDealerBus, PushRouterBus } from '../../bus/zeromq/pushBus.js';
import { type CurveKeys, newCurveKeys, sharedSecret } from '../../bus/zeromq/security/curveKeys.js';
import { provenAddress } from '../../bus/zeromq/security/provenAddress.js';
import { WorkerGate } from '../../bus/zeromq/security/workerGate.js';
import { fromZ85, toZ85 } from '../../bus/zeromq/security/z85.js';
import { beat, hello } from '../bus/support/wire.js';
import { until } from '../store/support/until.js';
import { TcpProxy } from '../support/tcpProxy.js';

const toWorkers = { incoming: workerCodec, outgoing: dispatcherCodec };
const toDispatcher = { incoming: dispatcherCodec, outgoing: workerCodec };
/** Longer than any handshake on this machine takes. */
const LONG_ENOUGH_MS = 400;

for (const mode of ['push', 'pull'] as const) {
  describe(`the secured worker wire, ${mode} mode`, () => {
    const server = newCurveKeys();
    const ada = newCurveKeys();
    const bob = newCurveKeys();
    const stranger = newCurveKeys();
    let nowMs = 1_000;
    let refused: string[];
    let errors: unknown[];
    let heard: { message: WorkerMessage; from: string }[];
    let gate: WorkerGate;
    let router: PushRouterBus<WorkerMessage, DispatcherMessage> | PullRouterBus<WorkerMessage, DispatcherMessage>;
    const opened: { close(): unknown }[] = [];

    const allowed = (keys: CurveKeys, name: string): { name: string; publicKey: string; expiresAtMs: number } => {
      return { name, publicKey: keys.publicKey, expiresAtMs: 5_000 };
    };
    const onRefused = (what: string): unknown => refused.push(what);
    const onError = (error: unknown): unknown => errors.push(error);

    beforeEach(async () => {
      [nowMs, refused, errors, heard] = [1_000, [], [], []];
      const workers = [allowed(ada, 'ada'), allowed(bob, 'bob')];
      gate = new WorkerGate({ serverKeys: [server], workers, now: () => nowMs, onRefused });
      const options = { ...toWorkers, onError, security: { keys: server, gate, onRefused } };
      const endpoint = 'tcp://127.0.0.1:*';
      router = await (mode === 'push' ? PushRouterBus.bind(endpoint, options) : PullRouterBus.bind(endpoint, options));
      router.listen((message, from) => heard.push({ message, from }));
    });
    afterEach(async () => {
      await Promise.all(opened.splice(0).map(async (one) => one.close()));
      await router.close();
    });

    function worker(
      keys: CurveKeys | undefined,
      { serverKey = server.publicKey, url = router.endpoint } = {},
    ): { bus: Bus<DispatcherMessage, WorkerMessage>; got: DispatcherMessage[] } {
      const security = keys && { security: { serverKey, keys } };
      const options = { ...toDispatcher, onError, url, ...security };
      const bus = mode === 'push' ? new PushDealerBus(options) : new PullRequestBus(options);
      const got: DispatcherMessage[] = [];
      bus.listen((message) => got.push(message));
      opened.push(bus);
      return { bus, got };
    }

    const namesHeard = (): string[] => heard.flatMap(({ message }) => (message.type === 'hello' ? [message.name] : []));

    it('hears a worker with a key on the list, and is heard by it', async () => {
      const { bus, got } = worker(ada);
      bus.send(DISPATCHER, hello('ada'));
      await until(() => heard.length === 1);
      router.send(heard[0]!.from, { type: 'sayHello', sequence: 3 });
      await until(() => got.length === 1);
      expect(got[0]).to.deep.equal({ type: 'sayHello', sequence: 3 });
      expect(refused).to.deep.equal([]);
    });

    it('lets one machine run several workers, told apart by what follows its name', async () => {
      const { bus } = worker(ada);
      bus.send(DISPATCHER, hello('ada.2'));
      await until(() => heard.length === 1);
      expect(namesHeard()).to.deep.equal(['ada.2']);
    });

    const REFUSED: [who: string, start: () => Bus<DispatcherMessage, WorkerMessage>][] = [
      ['a plain client', () => worker(undefined).bus],
      ['a key that is not on the list', () => worker(stranger).bus],
      ['a worker that expects another dispatcher', () => worker(ada, { serverKey: stranger.publicKey }).bus],
    ];
    for (const [who, start] of REFUSED) {
      it(`refuses ${who}, and says so`, async () => {
        start().send(DISPATCHER, hello('ada'));
        await until(() => refused.length > 0);
        await sleep(LONG_ENOUGH_MS);
        expect(heard).to.deep.equal([]);
        expect(refused.join('\n')).to.match(/not on the list|no CURVE, or another key|ended in the handshake/);
      });
    }

    it('refuses a worker that bears the name of another one', async () => {
      const { bus } = worker(bob);
      bus.send(DISPATCHER, hello('ada'));
      bus.send(DISPATCHER, hello('bobby'));
      bus.send(DISPATCHER, hello('bob'));
      await until(() => heard.length === 1);
      expect(namesHeard()).to.deep.equal(['bob']);
      expect(refused).to.deep.equal([
        'worker with the key of "bob" calls itself "ada"',
        'worker with the key of "bob" calls itself "bobby"',
      ]);
    });

    it('refuses a worker whose address says that it is another one', async () => {
      // Bob knows everything but Ada's secret key: her fingerprint, the form of the address, a secret of his own with the dispatcher.
      const forged = provenAddress(ada.publicKey, sharedSecret(bob.secretKey, server.publicKey));
      const curve = {
        curveServerKey: server.publicKey,
        curvePublicKey: bob.publicKey,
        curveSecretKey: bob.secretKey,
        linger: 0,
      };
      const [frame] = workerCodec.encode([hello('ada')]);
      if (mode === 'push') {
        const socket = new Dealer({ ...curve, routingId: forged });
        opened.push(socket);
        socket.connect(router.endpoint);
        await socket.send(frame);
      } else {
        const socket = new Request(curve);
        opened.push(socket);
        socket.connect(router.endpoint);
        await socket.send(['S', forged, frame]);
      }
      await until(() => refused.length === 1);
      expect(refused).to.deep.equal(['peer that says it has the key of "ada" and does not']);
      expect(heard).to.deep.equal([]);
    });

    it('shuts out at once whose key is revoked or has expired, and nobody else', async () => {
      const expelled: string[][] = [];
      gate.onExpelled((addresses) => expelled.push(addresses));
      const [one, two] = [worker(ada), worker(bob)];
      one.bus.send(DISPATCHER, hello('ada'));
      two.bus.send(DISPATCHER, hello('bob'));
      await until(() => heard.length === 2);
      gate.setWorkers([allowed(bob, 'bob')]);
      expect(expelled).to.deep.equal([[one.bus.address]]);
      one.bus.send(DISPATCHER, beat(1));
      two.bus.send(DISPATCHER, beat(2));
      await until(() => heard.length === 3);
      await sleep(LONG_ENOUGH_MS);
      expect(heard.slice(2).map(({ from }) => from)).to.deep.equal([two.bus.address]);
      nowMs = 5_000;
      gate.expire();
      expect(expelled.at(-1)).to.deep.equal([two.bus.address]);
      two.bus.send(DISPATCHER, beat(3));
      await sleep(LONG_ENOUGH_MS);
      expect(heard).to.have.length(3);
    });

    it('listens with a new key beside the old one, and then with the new one alone', async () => {
      const newer = newCurveKeys();
      const old = router.endpoint;
      gate.setServerKeys([server, newer]);
      const url = await router.routers.listenAlso('tcp://127.0.0.1:*', newer);
      const [before, after] = [worker(ada, { url: old }), worker(bob, { url, serverKey: newer.publicKey })];
      before.bus.send(DISPATCHER, hello('ada'));
      after.bus.send(DISPATCHER, hello('bob'));
      await until(() => heard.length === 2);
      for (const one of [before, after]) router.send(one.bus.address, { type: 'sayHello', sequence: 3 });
      await until(() => before.got.length === 1 && after.got.length === 1);
      router.routers.stopListening(old);
      gate.setServerKeys([newer]);
      before.bus.send(DISPATCHER, beat(1));
      after.bus.send(DISPATCHER, beat(2));
      await until(() => heard.length === 3);
      await sleep(LONG_ENOUGH_MS);
      expect(heard.slice(2).map(({ from }) => from)).to.deep.equal([after.bus.address]);
    });

    it('misses nothing that comes while it begins and ceases to listen with other keys', async () => {
      const { bus, got } = worker(ada);
      bus.send(DISPATCHER, hello('ada'));
      await until(() => heard.length === 1);
      const sent = { beats: 0, answers: 0 };
      const flow = setInterval(() => {
        bus.send(DISPATCHER, beat(sent.beats++));
        router.send(bus.address, { type: 'sayHello', sequence: sent.answers++ });
      }, 0);
      for (let times = 0; times < 20; times++) {
        const newer = newCurveKeys();
        gate.setServerKeys([server, newer]);
        router.routers.stopListening(await router.routers.listenAlso('tcp://127.0.0.1:*', newer));
      }
      await until(() => sent.beats > 20);
      clearInterval(flow);
      await until(() => heard.length === 1 + sent.beats && got.length === sent.answers);
      expect(errors).to.deep.equal([]);
      expect(router.stats.undeliverable).to.equal(0);
    });

    it('takes altered bytes for nothing, and a recorded conversation as well', async () => {
      const proxy = await TcpProxy.start(Number(new URL(router.endpoint.replace('tcp', 'http')).port));
      opened.push({ close: () => proxy.stop() });
      const recorded: Buffer[] = [];
      proxy.onBytes = (direction, bytes) => {
        if (direction === 'requests') recorded.push(Buffer.from(bytes));
        return bytes;
      };
      const url = `tcp://127.0.0.1:${proxy.port}`;
      const { bus } = worker(ada, { url });
      bus.send(DISPATCHER, hello('ada'));
      await until(() => heard.length === 1);

      // The same bytes once more, by somebody who listened.
      const replay = connect(Number(new URL(router.endpoint.replace('tcp', 'http')).port), '127.0.0.1');
      replay.on('error', () => undefined);
      opened.push({ close: () => replay.destroy() });
      await once(replay, 'connect');
      for (const bytes of recorded) {
        replay.write(bytes);
        await sleep(20);
      }
      await sleep(LONG_ENOUGH_MS);
      expect(heard).to.have.length(1);

      // A bit of each frame turned over, on a connection that has been let in.
      proxy.onBytes = (direction, bytes) => {
        if (direction !== 'requests' || bytes.length < 20) return bytes;
        const altered = Buffer.from(bytes);
        altered[altered.length - 5]! ^= 1;
        return altered;
      };
      bus.send(DISPATCHER, beat(1));
      await sleep(LONG_ENOUGH_MS);
      expect(heard).to.have.length(1);
      // Everybody else is served as before.
      const other = worker(bob);
      other.bus.send(DISPATCHER, hello('bob'));
      await until(() => heard.length === 2);
      expect(namesHeard()).to.deep.equal(['ada', 'bob']);
    });

    it('is unharmed by garbage before, in and instead of a handshake', async () => {
      const port = Number(new URL(router.endpoint.replace('tcp', 'http')).port);
      const greeting = Buffer.concat([
        Buffer.from('ff00000000000000017f0300', 'hex'),
        Buffer.from('CURVE'),
        Buffer.alloc(47),
      ]);
      for (const garbage of [
        'GET / HTTP/1.1\r\n\r\n',
        '\0'.repeat(5_000),
        greeting,
        Buffer.concat([greeting, Buffer.alloc(3_000, 7)]),
      ]) {
        const socket = connect(port, '127.0.0.1').on('error', () => undefined);
        await once(socket, 'connect');
        socket.write(garbage);
        await sleep(20);
        socket.destroy();
      }
      const { bus } = worker(ada);
      bus.send(DISPATCHER, hello('ada'));
      await until(() => heard.length === 1);
    });
  });
}

describe('Z85', () => {
  it('is that of ZeroMQ', () => {
    // The example of RFC 32.
    expect(toZ85(Buffer.from('864fd26fb559f75b', 'hex'))).to.equal('HelloWorld');
    expect(fromZ85('HelloWorld').toString('hex')).to.equal('864fd26fb559f75b');
    const { publicKey } = newCurveKeys();
    expect(toZ85(fromZ85(publicKey))).to.equal(publicKey);
  });

  it('refuses what it cannot read', () => {
    for (const wrong of ['abcd', 'abc"d', '#####']) expect(() => fromZ85(wrong)).to.throw(RangeError);
  });
});
