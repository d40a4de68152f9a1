import { expect } from 'chai';
import type { ControlMessage, ControlTopic } from '../../bus/controlMessages.js';
import { EventSeal } from '../../bus/eventSeal.js';
import { NatsBus } from '../../bus/natsBus.js';
import { connectRedis } from '../../bus/redis/connection.js';
import { keepSealKey } from '../../bus/redis/sealKey.js';
import { until } from '../store/support/until.js';
import { type SpecServer, startNats, startRedis } from '../support/servers.js';

const sealWith = (key: string): EventSeal => {
  const seal = new EventSeal();
  seal.setKey(key);
  return seal;
};

describe('The seal of control events', () => {
  const event = Buffer.from('an event');

  it('is genuine under the same key, for the same bytes alone', () => {
    const seal = sealWith('key').of(event)!;
    expect(sealWith('key').isGenuine(event, seal)).to.equal(true);
    expect(sealWith('other').isGenuine(event, seal)).to.equal(false);
    expect(sealWith('key').isGenuine(Buffer.from('An event'), seal)).to.equal(false);
    for (const wrong of ['', 'x', seal.slice(4), `AAAA${seal}`]) {
      expect(sealWith('key').isGenuine(event, wrong)).to.equal(false);
    }
  });

  it('is neither made nor believed before the key is known', () => {
    expect(new EventSeal().of(event)).to.equal(undefined);
    expect(new EventSeal().isGenuine(event, sealWith('').of(event)!)).to.equal(false);
  });

  it('has one key for all processes on a Redis, and another when Redis comes back without its data', async () => {
    const redis = await startRedis();
    const nothing = { lost: () => undefined, restored: () => undefined };
    const seals = [new EventSeal(), new EventSeal()];
    const connections = seals.map((seal) => {
      const connection = connectRedis(redis.url, nothing);
      keepSealKey(connection, seal);
      return connection;
    });
    const agree = (): boolean => seals[1]!.isGenuine(event, seals[0]!.of(event) ?? '');
    await until(agree);
    const before = seals[0]!.of(event)!;
    await connections[0]!.flushall();
    connections.forEach((connection) => connection.disconnect(true));
    await until(() => agree() && seals[0]!.of(event) !== before);
    await Promise.all(connections.map((connection) => connection.quit()));
    await redis.stop();
  });

  describe('on NATS', () => {
    let server: SpecServer;
    const buses: NatsBus[] = [];
    const heard: ControlMessage[] = [];
    const tasks = [{ taskId: 't', state: 'completed' as const, payload: Buffer.from('result') }];
    const TOPICS: ControlTopic[] = [
      'tasks.settled',
      'component.heartbeat',
      'worker.drain',
      'dispatcher.drain',
      'task.output',
      'tasks.queued',
    ];
    const bus = async (address: string, seal: EventSeal): Promise<NatsBus> => {
      const events = { lost: () => undefined, restored: () => undefined };
      const onError = (error: unknown): never => expect.fail(String(error));
      const opened = new NatsBus({ url: server.url, address, topics: TOPICS, events, seal, onError });
      buses.push(opened);
      await until(() => opened.connected);
      return opened;
    };
    before(async () => {
      server = await startNats();
      (await bus('listener', sealWith('key'))).listen((message) => heard.push(message));
    });
    beforeEach(() => heard.splice(0));
    after(async () => {
      await Promise.all(buses.map((one) => one.close()));
      await server.stop();
    });

    it('lets results pass', async () => {
      (await bus('dispatcher', sealWith('key'))).send('tasks.settled', { type: 'tasks.settled', tasks });
      await until(() => heard.length > 0);
      expect(heard).to.deep.equal([{ type: 'tasks.settled', tasks }]);
    });

    it('lets nobody else announce dispatchers, drain workers or say what a task prints; nudges need no seal', async () => {
      const announced: ControlMessage[] = [
        { type: 'component.heartbeat', kind: 'dispatcher', id: 'd', state: 'running', address: 'tcp://elsewhere:1' },
        { type: 'worker.drain', worker: 'w' },
        { type: 'dispatcher.drain', dispatcher: 'd' },
        { type: 'task.output', taskId: 't', attempt: 1, offset: 0, length: 3, bytes: Buffer.from('all') },
        { type: 'tasks.queued', count: 1 },
      ];
      const say = async (address: string, seal: EventSeal): Promise<void> => {
        const speaker = await bus(address, seal);
        for (const message of announced) speaker.send(message.type, message);
      };
      await say('stranger', sealWith('another key'));
      await until(() => heard.length > 0);
      expect(heard).to.deep.equal([{ type: 'tasks.queued', count: 1 }]);
      heard.splice(0);
      await say('platform', sealWith('key'));
      await until(() => heard.length === announced.length);
      expect(heard).to.have.deep.members(announced);
    });

    for (const [who, seal] of [
      ['a stranger', sealWith('another key')],
      ['one that has no key yet', new EventSeal()],
    ] as const) {
      it(`leaves results of ${who} out, which are then read from Redis`, async () => {
        (await bus('stranger', seal)).send('tasks.settled', { type: 'tasks.settled', tasks });
        await until(() => heard.length > 0);
        const hint = { taskId: 't', state: 'completed', isHint: true };
        expect(heard).to.deep.equal([{ type: 'tasks.settled', tasks: [hint] }]);
      });
    }
  });
});
