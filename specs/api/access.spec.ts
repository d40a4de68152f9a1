import { expect } from 'chai';
import { fastify } from 'fastify';
import { guardRoutes } from '../../api/access.js';
import { EVERYBODY, type Scope, SCOPES } from '../../api/principal.js';
import { type NewApiKey, newApiKey } from '../../bus/apiKeys.js';
import { type ApiFixture, PAYLOAD, startApi, UNKNOWN_ID } from './support/apiFixture.js';

describe('access to routes', function () {
  this.timeout(30_000);
  let api: ApiFixture;
  /** A key for each scope alone. */
  const keys = {} as Record<Scope, string>;

  before(async () => {
    api = await startApi({ config: { apiKeysRequired: true } });
    for (const scope of SCOPES) keys[scope] = await keyWith({ scopes: [scope] });
  });
  after(() => api.stop());

  async function keyWith(wanted: Partial<NewApiKey>, nowMs = Date.now()): Promise<string> {
    const { key, record } = newApiKey({ name: '', tenant: 'default', scopes: [...SCOPES], ...wanted }, nowMs);
    await api.apiKeys.add(record);
    return key;
  }
  const as = (key: string) => ({ authorization: `Bearer ${key}` });
  const idIn = (key: string): string => key.split('_')[1]!;
  const call = (method: string, url: string, headers: Record<string, string>) =>
    api.app.inject({ method: method as 'GET', url, headers });

  it('is public where nothing is secret', async () => {
    for (const url of ['/', '/health/live', '/health/ready', '/docs', '/docs/static/index.css', '/openapi.json']) {
      expect((await api.get(url)).status, url).to.equal(200);
    }
    expect((await api.get('/nothing-here')).status).to.equal(404);
  });

  it('is refused on every route to who has no key, an unknown one, or none of the scope', async () => {
    const routes = api.app.guardedRoutes.flatMap(({ method, url, config }) =>
      [method].flat().map((one) => ({ method: one, url, scope: config?.scope })),
    );
    expect(routes.length).to.be.greaterThan(25);
    for (const { method, url, scope } of routes) {
      expect(scope, url).to.be.a('string');
      if (scope === undefined || scope === 'public') continue;
      const route = `${method} ${url}`;
      const path = url.replace(/:\w+/, UNKNOWN_ID);
      expect((await call(method, path, {})).statusCode, route).to.equal(401);
      expect((await call(method, path, as(newApiKey(ANY, 0).key))).statusCode, route).to.equal(401);
      for (const other of SCOPES.filter((one) => one !== scope && one !== 'admin')) {
        const refused = await call(method, path, as(keys[other]));
        expect(refused.statusCode, `${route} with ${other}`).to.equal(403);
        if (method !== 'HEAD') expect(refused.json<{ detail: string }>().detail, route).to.contain(`\`${scope}\``);
      }
    }
  });

  it('is granted with the scope, and with `admin`, by either header', async () => {
    expect((await api.get('/tasks', as(keys.read))).status).to.equal(200);
    expect((await api.get('/tasks', as(keys.admin))).status).to.equal(200);
    expect((await api.get('/tasks', { 'x-api-key': keys.read })).status).to.equal(200);
    expect((await api.get('/workers', { authorization: `bearer  ${keys.operate} ` })).status).to.equal(200);
    const registered = await api.post('/register_function', { name: 'f', payload: PAYLOAD }, as(keys.submit));
    expect(registered.status).to.equal(200);
    expect((await api.get('/keys', as(keys.admin))).status).to.equal(200);
  });

  it('is refused with whatever is no key, in the same words', async () => {
    const key = keys.read;
    const other = key.endsWith('0') ? '1' : '0';
    const wrong = [
      ...['', 'x', 'mpcs_', 'mpcs__', key.slice(0, -1), `${key}0`, `${key} x`, key.toUpperCase(), 'x'.repeat(8_000)],
      ...[key.slice(0, -1) + other, key.replace(idIn(key), idIn(keys.submit)), key.replace(idIn(key), '__proto__   ')],
      ...[`\u00e9${key.slice(1)}`, key.replaceAll('_', '-'), `${key},${key}`],
    ];
    const answers = new Set<string>();
    for (const one of wrong) {
      for (const headers of [as(one), { 'x-api-key': one }]) {
        const { status, body, headers: answered } = await api.get('/tasks', headers);
        expect(status, one).to.equal(401);
        expect(answered['www-authenticate']).to.match(/^Bearer/);
        answers.add(JSON.stringify(body));
      }
    }
    for (const authorization of ['Basic eDp5', 'Digest x', key, `Token ${key}`]) {
      expect((await api.get('/tasks', { authorization })).status, authorization).to.equal(401);
    }
    expect([...answers]).to.have.length(1);
  });

  it('is refused with a key that has expired', async () => {
    const nowMs = Date.now();
    const key = await keyWith({ expiresAtMs: nowMs + 400 }, nowMs);
    await passRecheck();
    expect((await api.get('/tasks', as(key))).status).to.equal(200);
    await new Promise((resolve) => setTimeout(resolve, 450));
    expect((await api.get('/tasks', as(key))).status).to.equal(401);
  });

  it('is refused with a revoked key: at once, by every API, with no event', async () => {
    const other = await startApi({ redis: api.redis, config: { apiKeysRequired: true } });
    try {
      const key = await keyWith({});
      await passRecheck();
      for (const one of [api, other]) expect((await one.get('/tasks', as(key))).status).to.equal(200);
      const revoked = await api.post(`/keys/${idIn(key)}/revoke`, {}, as(key));
      expect(revoked.body).to.include({ key_id: idIn(key), state: 'revoked' });
      await passRecheck();
      for (const one of [api, other]) expect((await one.get('/tasks', as(key))).status).to.equal(401);
    } finally {
      await other.stop();
    }
  });

  it('makes keys over HTTP that work, and whose secret is nowhere afterwards', async () => {
    const asked = { name: 'ci', tenant: 'team-a', scopes: ['read'], expires_s: 60 };
    const made = await api.post('/keys', asked, as(keys.admin));
    expect(made.status, made.text).to.equal(200);
    expect(made.headers['cache-control']).to.equal('no-store');
    const key = String(made.body['key']);
    expect(key).to.match(/^mpcs_[0-9a-f]{12}_[0-9a-f]{40}$/);
    await passRecheck();
    expect((await api.get('/tasks', as(key))).status).to.equal(200);
    expect((await api.get('/keys', as(key))).status).to.equal(403);
    const listed = await api.get('/keys', as(keys.admin));
    const [story] = (listed.body['keys'] as Record<string, unknown>[]).filter(({ name }) => name === 'ci');
    expect(story).to.include({ key_id: idIn(key), tenant: 'team-a', state: 'valid', revoked_at: null });
    const secret = key.split('_')[2]!;
    expect(listed.text).to.not.contain(secret);
    expect(JSON.stringify(api.logged)).to.not.contain(secret);
    expect(JSON.stringify(await api.apiKeys.read())).to.not.contain(secret);
  });

  it('makes no key that would be wrong', async () => {
    const good = { name: '', tenant: 'a', scopes: ['read'] };
    const wrong = [
      ...[{ tenant: 'A' }, { tenant: '' }, { tenant: 'a/b' }, { tenant: `a${'b'.repeat(32)}` }, { tenant: 'a\n' }],
      ...[{ scopes: [] }, { scopes: ['root'] }, { scopes: 'read' }, { expires_s: 0 }, { expires_s: -1 }],
      ...[{ name: 'x'.repeat(65) }, { name: 'a\u001b[31m' }, { name: 'a\nb' }],
    ];
    for (const one of wrong) {
      const { status, text } = await api.post('/keys', { ...good, ...one }, as(keys.admin));
      expect(status, `${JSON.stringify(one)}: ${text}`).to.equal(422);
    }
    expect((await api.post('/keys/nothing/revoke', {}, as(keys.admin))).status).to.equal(404);
    expect((await api.post('/keys/%00/revoke', {}, as(keys.admin))).status).to.equal(404);
  });

  it('says in a 401 what to do', async () => {
    const { body } = await api.post('/execute_function', { function_id: UNKNOWN_ID, payload: PAYLOAD });
    expect(body['code']).to.equal('UNAUTHENTICATED');
    expect(body['remedy']).to.contain('Authorization: Bearer').and.contain('MPCSFAAS_API_KEY');
  });

  it('does not read a body before it knows who sends it', async () => {
    expect((await api.post('/tasks', '{"x"')).status).to.equal(401);
  });

  it('does not start with a route that declares no scope', async () => {
    const app = fastify();
    guardRoutes(app, undefined);
    app.get('/forgotten', () => 'x');
    const failure = await Promise.resolve(app.ready()).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(String(failure)).to.contain('GET /forgotten does not declare its scope');
  });

  it('makes everybody the same where no keys are asked for', async () => {
    const app = fastify();
    guardRoutes(app, undefined);
    app.get('/me', { config: { scope: 'admin' } }, (request) => ({ same: request.principal === EVERYBODY }));
    expect((await app.inject('/me')).json()).to.deep.equal({ same: true });
  });

  it('is refused to all while Redis is away: nobody knows which keys were revoked', async () => {
    expect((await api.get('/tasks', as(keys.read))).status).to.equal(200);
    await api.killRedis();
    await passRecheck();
    expect((await api.get('/tasks', as(keys.read))).status).to.equal(503);
    expect((await api.get('/health/live')).status).to.equal(200);
    await api.redis.restart();
  });
});

const ANY: NewApiKey = { name: '', tenant: 'default', scopes: ['admin'] };

/** Longer than an API believes what it knows of keys. */
const passRecheck = () => new Promise((resolve) => setTimeout(resolve, 120));
