import { expect } from 'chai';
import type { PlatformError } from '../../bus/errors.js';
import { connectRedis } from '../../bus/redis/connection.js';
import { RedisTaskStore } from '../../bus/redis/redisTaskStore.js';
import { eventually } from '../support/eventually.js';
import { type SpecServer, startRedis } from '../support/servers.js';
import { TcpProxy } from '../support/tcpProxy.js';
import { newTask } from './support/storeFixture.js';
import { until } from './support/until.js';

const SUBMISSIONS = 20;
const ARGUMENT_BYTES = 256 * 1024;

describe('A connection to Redis that is silent for good', () => {
  let server: SpecServer;
  let proxy: TcpProxy;
  const told: string[] = [];
  const open = (name: string, port: number): ReturnType<typeof connectRedis> =>
    connectRedis(`redis://127.0.0.1:${port}`, {
      lost: (reason) => told.push(`${name} lost: ${reason}`),
      restored: () => told.push(`${name} restored`),
    });

  before(async () => {
    server = await startRedis();
    proxy = await TcpProxy.start(server.port);
  });
  after(async () => {
    await proxy.stop();
    await server.stop();
  });

  it('is replaced by another, keeps nothing of what was refused, and repeats none of it; others may be idle', async function () {
    this.timeout(40_000);
    const [redis, idle, waiting] = [open('it', proxy.port), open('idle', server.port), open('waiting', server.port)];
    const store = new RedisTaskStore(redis, { shards: 1, leaseMs: 15_000, resultTtlSeconds: 60 });
    await until(() => Promise.all([store.ping(), idle.ping(), waiting.ping()]));
    const heard: string[] = [];
    waiting.on('message', (_channel, message: string) => heard.push(message));
    await waiting.subscribe('news');

    proxy.forget();
    const tasks = Array.from({ length: SUBMISSIONS }, () => newTask({ arguments: Buffer.alloc(ARGUMENT_BYTES) }));
    const codes = await Promise.all(
      tasks.map((task) =>
        store.submit([task]).then(
          () => 'accepted',
          (error: unknown) => (error as PlatformError).code,
        ),
      ),
    );
    expect(codes).to.deep.equal(tasks.map(() => 'STORE_UNAVAILABLE'));
    await eventually('another has taken its place', () => told.length === 2, 20_000);
    expect(told[0]).to.match(/^it lost: Socket timeout/);
    expect(told[1]).to.equal('it restored');
    expect(redis['commandQueue'].length).to.equal(0);
    await store.ping();
    expect(await store.readStatuses(tasks.map(({ taskId }) => taskId))).to.deep.equal(tasks.map(() => undefined));
    expect(await store.submit(tasks.slice(0, 1))).to.deep.equal(['accepted']);

    // As long as this took, nothing was asked on the others.
    await idle.publish('news', 'late');
    await eventually('it is heard', () => heard.length > 0);
    expect(told).to.have.length(2);
    await store.close();
    for (const one of [idle, waiting]) one.disconnect();
  });
});
