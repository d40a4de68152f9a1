import { expect } from 'chai';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { newApiKey, SCOPES } from '../../bus/apiKeys.js';
import { eventually } from '../support/eventually.js';
import { type ApiFixture, PAYLOAD, startApi } from './support/apiFixture.js';
import { exchange, request } from './support/rawHttp.js';

const MAX_CONNECTIONS = 60;
const PER_ADDRESS = 40;
/** Linux has all of 127.0.0.0/8. */
const OTHER_ADDRESS = '127.0.0.2';

describe('HTTP hygiene', function () {
  this.timeout(30_000);
  let api: ApiFixture;
  let port: number;
  const sockets: Socket[] = [];

  async function start(config: Parameters<typeof startApi>[0]): Promise<void> {
    api = await startApi(config);
    await api.app.listen({ host: '127.0.0.1', port: 0 });
    port = (api.app.server.address() as AddressInfo).port;
  }
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await api.stop();
  });

  function open(localAddress = '127.0.0.1'): Socket & { text: string } {
    const socket = Object.assign(connect({ port, host: '127.0.0.1', localAddress }), { text: '' });
    socket.on('error', () => undefined).on('data', (data) => (socket.text += data.toString('latin1')));
    sockets.push(socket);
    return socket;
  }
  const opened = async (count: number, localAddress?: string) => {
    const all = Array.from({ length: count }, () => open(localAddress));
    await Promise.all(all.map((socket) => Promise.race([once(socket, 'connect'), once(socket, 'close')])));
    await sleep(200);
    return all;
  };
  const live = (from: string) =>
    new Promise<number>((resolve, reject) => {
      httpRequest({ port, host: '127.0.0.1', localAddress: from, path: '/health/live', agent: false }, (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      })
        .on('error', reject)
        .end();
    });

  describe('of connections', () => {
    it('refuses those beyond the limit of an address, in words, and serves others', async () => {
      await start({ config: { maxConnections: MAX_CONNECTIONS, maxConnectionsPerAddress: PER_ADDRESS } });
      const idle = await opened(200);
      const refused = idle.filter(({ text }) => text.startsWith('HTTP/1.1 503 '));
      expect(refused).to.have.length(200 - PER_ADDRESS);
      for (const { text } of refused) expect(text).to.contain('TOO_MANY_CONNECTIONS').and.contain('Retry-After: 1');
      expect(idle.filter(({ closed }) => closed)).to.have.length(200 - PER_ADDRESS);
      expect(await live(OTHER_ADDRESS)).to.equal(200);
      expect(api.logged.filter(({ msg }) => String(msg).startsWith('connections refused'))).to.have.length(1);
      for (const socket of sockets.splice(0)) socket.destroy();
      await eventually('there is room again', async () => (await live('127.0.0.1').catch(() => 0)) === 200);
    });

    it('refuses those beyond the limit of the server, whoever they are of, until some have gone', async () => {
      await start({ config: { maxConnections: MAX_CONNECTIONS, maxConnectionsPerAddress: PER_ADDRESS } });
      await opened(PER_ADDRESS);
      const others = await opened(PER_ADDRESS, OTHER_ADDRESS);
      expect(others.filter(({ text }) => text.includes('503'))).to.have.length(2 * PER_ADDRESS - MAX_CONNECTIONS);
      expect(await live('127.0.0.3')).to.equal(503);
      for (const socket of others) socket.destroy();
      await eventually('there is room again', async () => (await live('127.0.0.3').catch(() => 0)) === 200);
    });

    it('does nothing of what is asked on a refused one', async () => {
      await start({ config: { maxConnections: 1, maxConnectionsPerAddress: 1 } });
      await opened(1);
      const before = api.announced.drains.length;
      const body = JSON.stringify({ name: 'f', payload: PAYLOAD });
      const headers = { 'Content-Type': 'application/json', 'Content-Length': String(body.length) };
      const bytes = Buffer.concat([
        request('POST', '/dispatchers/x/drain', {}),
        request('POST', '/register_function', headers, body),
      ]);
      const statuses = await Promise.all(
        Array.from({ length: 20 }, async () => (await exchange(port, [bytes], { patienceMs: 2_000 })).status),
      );
      // A reset may be faster than the answer, where more was sent than was read.
      for (const status of statuses) expect(status).to.be.oneOf([503, 0]);
      expect(statuses).to.include(503);
      expect(api.announced.drains).to.have.length(before);
      expect((await api.get('/functions')).body['functions']).to.deep.equal([]);
    });

    it('holds thousands of idle ones, and serves at once besides', async () => {
      await start({ config: { maxConnections: 5_000, maxConnectionsPerAddress: 2_000 } });
      await opened(2_500);
      const startMs = performance.now();
      expect(await live(OTHER_ADDRESS)).to.equal(200);
      expect(performance.now() - startMs).to.be.lessThan(1_000);
    });

    it('ends what a revoked key holds open, and nothing else', async () => {
      await start({ config: { apiKeysRequired: true } });
      const made = [0, 1].map(() => newApiKey({ name: '', tenant: 'default', scopes: [...SCOPES] }, Date.now()));
      for (const { record } of made) await api.apiKeys.add(record);
      const group = await api.post('/groups', {}, { authorization: `Bearer ${made[0]!.key}` });
      const groupId = String(group.body['group_id']);
      const follow = (key: string) => {
        const socket = open();
        socket.write(request('GET', `/groups/${groupId}/results?follow=true`, { Authorization: `Bearer ${key}` }));
        return socket;
      };
      const [revoked, other] = made.map(({ key }) => follow(key));
      await eventually('both stream', () => [revoked, other].every((one) => one!.text.startsWith('HTTP/1.1 200')));
      await api.apiKeys.revoke(made[0]!.record.keyId, Date.now());
      await eventually('the stream ends', () => revoked!.closed, 3_000);
      await sleep(1_200);
      expect(other!.closed).to.equal(false);
    });
  });

  describe('of slow requests', () => {
    it('gives headers less time than bodies', async () => {
      await start({ requestTimeoutMs: 60_000 });
      expect(api.app.server.headersTimeout).to.equal(15_000);
      expect(api.app.server.requestTimeout).to.equal(60_000);
    });
  });

  describe('of answers', () => {
    it("has helmet's headers on every answer, and says nothing of what it is made of", async () => {
      await start({});
      for (const url of ['/', '/health/live', '/nothing', '/tasks', '/status/x', '/docs', '/dashboard', '/%zz']) {
        const { headers } = await api.get(url);
        expect(headers, url).to.include({ 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY' });
        expect(String(headers['content-security-policy']), url).to.contain("frame-ancestors 'none'");
        expect(headers['referrer-policy'], url).to.equal('no-referrer');
        expect(headers, url).to.not.have.any.keys('server', 'x-powered-by', 'via');
      }
      expect((await api.get('/tasks')).headers['content-security-policy']).to.contain("default-src 'none'");
      expect((await api.get('/docs')).headers['content-security-policy']).to.contain("default-src 'self'");
    });

    it('shows no stack and no cause of a fault of its own', async () => {
      await start({});
      api.store.readWorkers = () => Promise.reject(new Error('secret detail at 10.1.2.3'));
      const { status, text } = await api.get('/workers');
      expect(status).to.equal(500);
      expect(text).to.not.match(/secret|10\.1\.2\.3|\.js|\.ts|node_modules| at /);
      expect(JSON.stringify(api.logged)).to.contain('secret detail');
    });
  });

  describe('of browsers', () => {
    const THERE = { host: '127.0.0.1:8000' };
    const refusals: [string, Record<string, string>][] = [
      ['a page of another site', { ...THERE, 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
      ['a page of another port', { ...THERE, 'sec-fetch-site': 'same-site' }],
      ['a page of another site, in an old browser', { ...THERE, origin: 'http://evil.example' }],
      ['a page without an origin', { ...THERE, origin: 'null' }],
      ['a name that was made to lead here', { host: 'evil.example:8000', 'sec-fetch-site': 'same-origin' }],
      ['the same, in an old browser', { host: 'evil.example', origin: 'http://evil.example' }],
    ];
    for (const [what, headers] of refusals) {
      it(`refuses ${what}`, async () => {
        await start({});
        for (const answer of [await api.get('/tasks', headers), await api.post('/workers/x/drain', {}, headers)]) {
          expect(answer.status).to.equal(403);
          expect(answer.body['code']).to.match(/^FORBIDDEN_(ORIGIN|HOST)$/);
        }
        expect(api.announced.drains).to.deep.equal([]);
      });
    }

    it('serves its own pages, links to them, and whatever is no browser', async () => {
      await start({ config: { apiHostNames: ['faas.example.org'] } });
      const fine: Record<string, string>[] = [
        { ...THERE, 'sec-fetch-site': 'same-origin', origin: 'http://127.0.0.1:8000' },
        { ...THERE, origin: 'http://127.0.0.1:8000' },
        { ...THERE, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
        { ...THERE, 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' },
        { host: 'faas.example.org', 'sec-fetch-site': 'same-origin' },
        { ...THERE, origin: 'https://faas.example.org', 'x-forwarded-host': 'faas.example.org' },
        ...['localhost:8000', 'api:8000', '[::1]:8000', '10.0.0.7', 'x.localhost'].map((host) => ({ host })),
      ];
      for (const headers of fine) {
        expect((await api.get('/tasks', headers)).status, JSON.stringify(headers)).to.equal(200);
      }
    });

    it('asks for no known name where keys are asked for', async () => {
      await start({ config: { apiKeysRequired: true } });
      expect((await api.get('/tasks', { host: 'any.example' })).status).to.equal(401);
    });
  });
});
