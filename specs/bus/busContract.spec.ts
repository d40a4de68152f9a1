import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../store/support/until.js';
import { carriers, type End, type Link } from './support/carriers.js';

const MEBIBYTE = 1024 * 1024;
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

for (const carrier of carriers()) {
  describe(`a bus on ${carrier.name}`, () => {
    let link: Link;
    before(() => carrier.start());
    beforeEach(async () => {
      link = await carrier.open();
    });
    afterEach(() => Promise.all([link.worker.bus.close(), link.dispatcher.bus.close()]));
    after(() => carrier.stop());

    const got = (end: End, count: number): Promise<unknown> => until(() => end.received.length >= count);

    it('carries messages both ways, and says who sent them', async () => {
      link.worker.send(1);
      await got(link.dispatcher, 1);
      link.dispatcher.send(2);
      await got(link.worker, 1);
      expect(link.dispatcher.received[0]).to.deep.equal({ number: 1, bytes: 0, from: link.worker.bus.address });
      expect(link.worker.received[0]).to.deep.equal({ number: 2, bytes: 0, from: link.dispatcher.bus.address });
      expect(link.errors).to.deep.equal([]);
    });

    it('keeps the order of messages, each arriving once', async () => {
      for (const number of upTo(3_000)) {
        link.worker.send(number, number % 100);
        link.dispatcher.send(number, number % 100);
        if (number % 250 === 0) await sleep(1);
      }
      await Promise.all([got(link.dispatcher, 3_000), got(link.worker, 3_000)]);
      await sleep(20);
      expect(link.dispatcher.numbers()).to.deep.equal(upTo(3_000));
      expect(link.worker.numbers()).to.deep.equal(upTo(3_000));
    });

    it('counts what it sends and receives', async () => {
      const before = { sent: link.worker.bus.stats.sent, received: link.dispatcher.bus.stats.received };
      for (const number of upTo(700)) link.worker.send(number);
      await got(link.dispatcher, 700);
      await until(() => link.worker.bus.stats.sent === before.sent + 700);
      expect(link.dispatcher.bus.stats).to.include({ received: before.received + 700, dropped: 0 });
    });

    it('carries a payload of 1 MiB both ways', async () => {
      link.worker.send(1, MEBIBYTE);
      link.dispatcher.send(2, MEBIBYTE);
      await Promise.all([got(link.dispatcher, 1), got(link.worker, 1)]);
      expect(link.dispatcher.received[0]).to.include({ number: 1, bytes: MEBIBYTE });
      expect(link.worker.received[0]).to.include({ number: 2, bytes: MEBIBYTE });
    });

    it('does not block the sender, however much it is given', async () => {
      const startedAtMs = performance.now();
      for (const number of upTo(2_000)) link.worker.send(number, 1_000);
      expect(performance.now() - startedAtMs).to.be.lessThan(2_000);
      await got(link.dispatcher, 2_000);
    });

    it('reaches each of several workers', async () => {
      const other = await link.addWorker();
      link.worker.received.splice(0);
      for (const number of upTo(100)) link.dispatcher.send(number, 0, link.dispatcher.peer);
      await got(link.worker, 100);
      if (carrier.knowsItsPeers) {
        expect(other.received).to.deep.equal([]);
        for (const number of upTo(100)) link.dispatcher.send(number, 0, other.bus.address);
      }
      await got(other, 100);
      expect(link.worker.numbers()).to.deep.equal(upTo(100));
      expect(other.numbers()).to.deep.equal(upTo(100));
      await other.bus.close();
    });

    it('neither throws nor blocks on a peer that nobody knows', async () => {
      const { undeliverable } = link.dispatcher.bus.stats;
      link.dispatcher.send(1, 0, 'w-nobody');
      link.dispatcher.send(2);
      link.dispatcher.send(3, 0, '');
      link.dispatcher.send(4);
      await got(link.worker, 2);
      expect(link.worker.numbers()).to.deep.equal([2, 4]);
      if (carrier.knowsItsPeers) expect(link.dispatcher.bus.stats.undeliverable).to.equal(undeliverable + 2);
    });

    it('goes on when a worker has left', async () => {
      const other = await link.addWorker();
      await other.bus.close();
      for (const number of upTo(50)) {
        link.dispatcher.send(number, 0, carrier.knowsItsPeers ? other.bus.address : link.dispatcher.peer);
      }
      link.worker.received.splice(0);
      link.worker.send(1);
      link.dispatcher.received.splice(0);
      await got(link.dispatcher, 1);
      link.dispatcher.send(1_000);
      await until(() => link.worker.numbers().includes(1_000));
    });

    it('reports an error that a handler throws, and goes on', async () => {
      link.dispatcher.onParcel = ({ number }) => {
        if (number % 2 === 1) throw new Error(`cannot bear ${number}`);
      };
      for (const number of upTo(6)) link.worker.send(number);
      await got(link.dispatcher, 6);
      await sleep(5);
      expect(link.dispatcher.numbers()).to.deep.equal(upTo(6));
      expect(link.errors.map((error) => (error as Error).message)).to.deep.equal(
        [1, 3, 5].map((n) => `cannot bear ${n}`),
      );
    });

    it('lets a handler send, one message at a time', async () => {
      let inHandler = 0;
      link.dispatcher.onParcel = ({ number }) => {
        expect(++inHandler).to.equal(1);
        link.dispatcher.send(number);
        inHandler--;
      };
      for (const number of upTo(500)) link.worker.send(number);
      await got(link.worker, 500);
      expect(link.worker.numbers()).to.deep.equal(upTo(500));
      expect(link.errors).to.deep.equal([]);
    });

    for (const which of ['worker', 'dispatcher'] as const) {
      it(`closes the ${which}'s end in bounded time, as often as it is told to`, async () => {
        const startedAtMs = performance.now();
        for (const number of upTo(1_000)) link[which].send(number);
        await Promise.all([link[which].bus.close(), link[which].bus.close()]);
        await link[which].bus.close();
        expect(performance.now() - startedAtMs).to.be.lessThan(2_000);
      });

      it(`sends nothing and calls no handler once the ${which}'s end is closed`, async () => {
        const end = link[which];
        const other = link[which === 'worker' ? 'dispatcher' : 'worker'];
        for (const number of upTo(200)) other.send(number);
        await got(end, 1);
        const closed = end.bus.close();
        const { length } = end.received;
        const { sent } = end.bus.stats;
        end.send(9_999);
        other.send(9_999);
        await closed;
        end.send(9_999);
        other.send(9_999);
        await sleep(50);
        expect(end.received).to.have.length(length);
        expect(end.bus.stats.sent).to.equal(sent);
        expect(other.numbers()).not.to.include(9_999);
      });

      it(`calls no handler when the ${which}'s end is closed by a handler`, async () => {
        const end = link[which];
        const other = link[which === 'worker' ? 'dispatcher' : 'worker'];
        end.onParcel = () => void end.bus.close();
        for (const number of upTo(50)) other.send(number);
        await got(end, 1);
        await sleep(30);
        expect(end.numbers()).to.deep.equal([0]);
      });
    }

    it('delivers what was sent just before it was closed, while the peer is there', async () => {
      for (const number of upTo(20)) link.worker.send(number, 1_000);
      await link.worker.bus.close();
      await got(link.dispatcher, 20);
      expect(link.dispatcher.numbers()).to.deep.equal(upTo(20));
    });
  });
}
