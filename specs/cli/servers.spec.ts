import { expect } from 'chai';
import { Redis } from 'ioredis';
import { connect } from 'nats';
import { connectRedis } from '../../bus/redis/connection.js';
import { redisSocket, startNats, startRedis } from '../../cli/servers.js';
import { eventually } from '../support/eventually.js';
import * as support from '../support/servers.js';

describe('Private servers', () => {
  it('redis keeps what was written over a restart, also a violent one', async () => {
    const server = await support.startRedis();
    const client = new Redis(server.url, { lazyConnect: true });
    try {
      await client.set('kept', 'yes');
      await server.kill('SIGKILL');
      await server.restart();
      expect(await client.get('kept')).to.equal('yes');
      expect(await client.config('GET', 'appendonly')).to.deep.equal(['appendonly', 'yes']);
      expect(await client.config('GET', 'maxmemory-policy')).to.deep.equal(['maxmemory-policy', 'noeviction']);
      expect(await client.config('GET', 'hash-max-listpack-value')).to.deep.equal(['hash-max-listpack-value', '512']);
    } finally {
      client.disconnect();
      await server.stop();
    }
  });

  it('redis is reached by a socket too, also after a violent restart', async () => {
    const server = await support.startRedis();
    expect(server.localUrl).to.equal(`unix://${server.directory}/redis.sock`);
    const lost: string[] = [];
    const client = connectRedis(server.localUrl, { lost: (reason) => lost.push(reason), restored: () => undefined });
    try {
      await eventually('it answers', () => client.set('kept', 'yes').then(Boolean, () => false));
      await server.kill('SIGKILL');
      await server.restart();
      await eventually('it answers again', () => client.get('kept').then(Boolean, () => false));
      expect(lost).to.have.length(1);
    } finally {
      client.disconnect();
      await server.stop();
    }
  });

  it('redis is reached by its port alone where the path of a socket would be too long', () => {
    expect(redisSocket(`/${'long'.repeat(25)}`)).to.equal(undefined);
  });

  it('nats takes messages of megabytes', async () => {
    const server = await support.startNats();
    try {
      const connection = await connect({ servers: server.url });
      expect(connection.info?.max_payload).to.equal(8 * 1024 * 1024);
      await connection.close();
    } finally {
      await server.stop();
    }
  });

  it('a taken port is said in one sentence', async () => {
    const server = await support.startNats();
    try {
      const again = { directory: server.directory, port: server.port, env: process.env };
      const error = await startNats(again).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).to.be.instanceOf(Error);
      expect((error as Error).message).to.equal(
        `Port ${server.port} for nats-server is taken; NATS_URL can name another.`,
      );
    } finally {
      await server.stop();
    }
  });

  it('a start that is given up leaves nothing running', async () => {
    const server = await support.startRedis();
    await server.stop();
    const error = await startRedis({
      directory: server.directory,
      logFile: `${server.directory}/redis.log`,
      env: process.env,
      signal: AbortSignal.abort(),
    }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).to.be.instanceOf(Error);
    await server.stop();
  });
});
