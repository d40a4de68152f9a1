import { expect } from 'chai';
import { randomBytes, randomInt } from 'node:crypto';
import { Redis } from 'ioredis';
import { ValueConnection } from '../../bus/redis/valueConnection.js';
import { eventually } from '../support/eventually.js';
import { type SpecServer, startRedis } from '../support/servers.js';
import { TcpProxy } from '../support/tcpProxy.js';

const saidBy = (error: unknown): string => (error as Error).message;

describe('A connection for large values', () => {
  let server: SpecServer;
  let redis: Redis;
  const open: ValueConnection[] = [];

  const opened = async (place: string | number = server.port): Promise<ValueConnection> => {
    const connection = new ValueConnection(new Redis(place as string, { lazyConnect: true }).options);
    open.push(connection);
    await eventually('it is ready', () => connection.isReady);
    return connection;
  };
  before(async () => {
    server = await startRedis();
    redis = new Redis(server.port).on('error', () => undefined);
  });
  afterEach(() => {
    for (const connection of open.splice(0)) connection.end();
  });
  after(async () => {
    redis.disconnect();
    await server.stop();
  });

  for (const kind of ['a port', 'a socket']) {
    it(`brings values of all sizes through ${kind}, in the order in which they were asked for`, async () => {
      const connection = await opened(kind === 'a port' ? server.port : server.localUrl.replace('unix://', ''));
      const around = (bytes: number): number[] => Array.from({ length: 8 }, (_, i) => bytes - 4 + i);
      const chance = Array.from({ length: 40 }, () => randomInt(300_000));
      const sizes = [0, 1, 2, 3, ...around(16 * 1024), ...around(64 * 1024), 5_000_000, ...chance];
      const values = sizes.map((bytes) => randomBytes(bytes).fill('\r\n$3\r\n', 0, Math.min(bytes, 6)));
      await redis.hset('values', Object.fromEntries(values.map((value, index) => [`f${index}`, value])));
      const got = await Promise.all(values.map((_, index) => connection.read('values', `f${index}`)));
      got.forEach((value, index) => {
        expect(value?.equals(values[index] as Buffer), `${sizes[index]} bytes, seen by ${sizes.join()}`).to.equal(true);
      });
    });
  }

  it('tells what is not there, and goes on after a refusal', async () => {
    const connection = await opened();
    await redis.multi().set('text', 'x').hset('hash', 'field', 'value').exec();
    const answers = ['hash field', 'hash other', 'nothing field', 'text field', 'hash field'].map((words) => {
      const [key = '', field = ''] = words.split(' ');
      return connection.read(key, field).then(String, saidBy);
    });
    const [value, noField, noKey, refusal, again] = await Promise.all(answers);
    expect([value, noField, noKey, again]).to.deep.equal(['value', 'null', 'null', 'value']);
    expect(refusal).to.contain('WRONGTYPE');
  });

  it('shows who it is, and is never ready with a wrong password', async () => {
    await redis.call('ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '+@all');
    const options = { port: server.port, username: 'reader', db: 0 };
    const right = new ValueConnection({ ...options, password: 'secret' });
    const wrong = new ValueConnection({ ...options, password: 'guessed' });
    open.push(right, wrong);
    await eventually('one is ready', () => right.isReady);
    expect(await right.read('nothing', 'field')).to.equal(null);
    await eventually('the other is given up, until another try is due', () => wrong.isGone);
    expect(wrong.isReady).to.equal(false);
  });

  it('is given up when nothing comes any more, however often it is asked', async () => {
    const proxy = await TcpProxy.start(server.port);
    const connection = await opened(proxy.port);
    proxy.forget();
    const answers: Promise<string>[] = [];
    await eventually(
      'it is given up',
      () => {
        answers.push(connection.read('hash', 'field').then(String, saidBy));
        return !connection.isReady;
      },
      15_000,
    );
    expect(answers).to.have.length.greaterThan(10);
    const refusals = await Promise.all(answers);
    expect(refusals[0]).to.equal('large values: it does not answer');
    expect(refusals.every((text) => text.startsWith('large values: '))).to.equal(true);
    await proxy.stop();
  });

  it('refuses what is not answered when it breaks', async () => {
    const connection = await opened();
    await server.kill('SIGSTOP');
    const asked = connection.read('hash', 'field').then(String, saidBy);
    await server.kill('SIGKILL');
    expect(await asked).to.match(/^large values: /);
    expect(connection.isReady).to.equal(false);
    const late = await connection.read('hash', 'field').then(String, saidBy);
    expect(late).to.equal('large values: closed');
  });
});
