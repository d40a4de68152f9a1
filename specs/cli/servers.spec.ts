import { expect } from 'chai';
import { Redis } from 'ioredis';
import { connect } from 'nats';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { connectRedis } from '../../bus/redis/connection.js';
import { redisSocket, startNats, startRedis } from '../../cli/servers.js';
import { eventually } from '../support/eventually.js';
import { PYTHON } from '../support/python.js';
import * as support from '../support/servers.js';

/** How large the files in a folder are, and how much of them the kernel has in memory. */
function pageCacheOf(folder: string): { bytes: number; residentBytes: number } {
  const paths = readdirSync(folder).map((name) => join(folder, name));
  const script = join(PACKAGE_ROOT, 'specs', 'support', 'residentBytes.py');
  const lines = execFileSync(PYTHON, [script, ...paths], { encoding: 'utf8' })
    .trim()
    .split('\n');
  const rows = lines.map((line) => line.split(' ').map(Number));
  const total = (column: number): number => rows.reduce((sum, row) => sum + (row[column] ?? 0), 0);
  return { bytes: total(0), residentBytes: total(1) };
}

describe('Private servers', () => {
  it('redis keeps what was written over a restart, also a violent one', async () => {
    const server = await support.startRedis('always');
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
    const server = await support.startRedis('always');
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

  it("redis' append-only file is let go from the page cache as it grows", async function () {
    if (process.platform !== 'linux') this.skip();
    const server = await support.startRedis();
    const client = new Redis(server.url, { lazyConnect: true });
    const value = randomBytes(1024 * 1024);
    try {
      for (let i = 0; i < 64; i++) await client.set('large', value);
      await eventually('most of it is not in memory', () => {
        const { bytes, residentBytes } = pageCacheOf(join(server.directory, 'appendonlydir'));
        return bytes > 64 * value.length && residentBytes < bytes / 4;
      });
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
