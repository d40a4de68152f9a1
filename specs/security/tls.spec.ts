import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type PeerCertificate } from 'node:tls';
import { expect } from 'chai';
import { NatsBus } from '../../bus/natsBus.js';
import { connectRedis } from '../../bus/redis/connection.js';
import { freePort } from '../../cli/freePort.js';
import { newAuthority, newServerCertificate, writePair } from '../../cli/security/certificates.js';
import { newCredentials, writeCredentials } from '../../cli/security/credentials.js';
import { type Server, startNats, startRedis } from '../../cli/servers.js';
import { eventually } from '../support/eventually.js';

const HOSTS = ['localhost', '127.0.0.1'];

describe('Servers that others reach', function () {
  this.timeout(60_000);
  const directory = mkdtempSync(join(tmpdir(), 't-'));
  const at = (name: string): string => join(directory, name);
  const authority = newAuthority(10);
  const stranger = newAuthority(10);
  const credentials = newCredentials(new Date());
  const tls = { certificate: at('server.crt'), key: at('server.key'), authority: at('ca.crt') };
  const security = { host: '0.0.0.0', credentials: at('credentials.json'), tls };
  const errors: unknown[] = [];
  const events = { lost: () => undefined, restored: () => undefined };
  let redis: Server;
  let nats: Server;

  before(async () => {
    writePair(authority, tls.authority, at('ca.key'));
    writePair(newServerCertificate(authority, HOSTS, 10), tls.certificate, tls.key);
    writeCredentials(security.credentials, credentials);
    const options = { env: process.env, security, onError: (error: unknown) => errors.push(error) };
    redis = await startRedis({ ...options, directory: at('redis'), port: await freePort(), logFile: at('redis.log') });
    nats = await startNats({ ...options, directory: at('nats'), port: await freePort(), logFile: at('nats.log') });
  });
  after(async () => {
    await Promise.all([redis.stop(), nats.stop()]);
    rmSync(directory, { recursive: true, force: true });
  });

  const openRedis = (scheme: string, ca: string): ReturnType<typeof connectRedis> =>
    connectRedis(
      () => ({
        url: `${scheme}://localhost:${redis.port}`,
        username: 'api',
        password: credentials.redis.api[0]!.secret,
        tls: { ca },
      }),
      events,
    );
  const openNats = (ca: string): NatsBus =>
    new NatsBus({
      url: `tls://localhost:${nats.port}`,
      access: { nkey: () => credentials.nats.api[0]!.secret, ca },
      ...{ address: 'api', topics: ['tasks.settled'], events, onError: (error) => errors.push(error) },
    });

  it('serve who knows their authority and has credentials', async () => {
    const connection = openRedis('rediss', authority.certificate);
    await eventually('Redis serves', () => connection.status === 'ready');
    expect(await connection.ping()).to.equal('PONG');
    connection.disconnect();
    const bus = openNats(authority.certificate);
    await eventually('NATS serves', () => bus.connected);
    await bus.close();
  });

  it('are not believed under another authority', async () => {
    const connection = openRedis('rediss', stranger.certificate);
    const bus = openNats(stranger.certificate);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(connection.status).not.to.equal('ready');
    expect(bus.connected).to.equal(false);
    connection.disconnect();
    await bus.close();
  });

  it('may say more after they have not been believed: the process lives', async () => {
    const connection = openRedis('rediss', stranger.certificate);
    let stream: Duplex | undefined;
    await eventually('Redis is spoken to', () => {
      stream = (connection as unknown as { stream?: Duplex }).stream;
      return stream !== undefined;
    });
    await eventually('it is not believed', () => stream?.destroyed === true);
    // What TLS does when the server answers to the end of the handshake: nobody would catch it.
    expect(() => stream?.emit('error', new Error('decode error'))).not.to.throw();
    connection.disconnect();
  });

  it('show a new certificate to whoever comes, while who is there notices nothing', async () => {
    let lost = 0;
    const connection = connectRedis(
      () => ({
        url: `rediss://localhost:${redis.port}`,
        username: 'api',
        password: credentials.redis.api[0]!.secret,
        tls: { ca: authority.certificate },
      }),
      { lost: () => lost++, restored: () => undefined },
    );
    await eventually('Redis serves', () => connection.status === 'ready');
    const shown = (): Promise<PeerCertificate> =>
      new Promise((resolve, reject) => {
        const socket = connectTls({ port: redis.port, host: 'localhost', ca: authority.certificate }, () => {
          resolve(socket.getPeerCertificate());
          socket.destroy();
        });
        socket.on('error', reject);
      });
    const before = (await shown()).serialNumber;
    writePair(newServerCertificate(authority, HOSTS, 20), tls.certificate, tls.key);
    await eventually('the new one is shown', async () => (await shown()).serialNumber !== before);
    await eventually('NATS has taken it over', () => readFileSync(at('nats.log'), 'utf8').includes('Reloaded'));
    expect(await connection.ping()).to.equal('PONG');
    expect(lost).to.equal(0);
    expect(errors).to.deep.equal([]);
    connection.disconnect();
  });
});
