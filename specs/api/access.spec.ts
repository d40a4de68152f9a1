import { expect } from 'chai';
import { fastify } from 'fastify';
import { guardRoutes } from '../../api/access.js';
import { EVERYBODY, type Principal, type Scope } from '../../api/principal.js';
import { type ApiFixture, PAYLOAD, startApi, UNKNOWN_ID } from './support/apiFixture.js';

const holder = (...scopes: Scope[]): Principal => ({ tenant: 'default', keyId: 'k', scopes: new Set(scopes) });
const HOLDERS: Record<string, Principal> = {
  submitter: holder('submit'),
  reader: holder('read'),
  operator: holder('operate'),
  everything: holder('submit', 'read', 'operate', 'admin'),
};

describe('access to routes', function () {
  this.timeout(30_000);
  let api: ApiFixture;

  before(async () => {
    api = await startApi({ holderOf: (key) => (key === 'later' ? Promise.resolve(HOLDERS['reader']) : HOLDERS[key]) });
  });
  after(() => api.stop());

  const as = (key: string) => ({ authorization: `Bearer ${key}` });
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
      expect((await call(method, path, as('stranger'))).statusCode, route).to.equal(401);
      expect((await call(method, path, { authorization: 'Basic cmVhZGVyOg==' })).statusCode, route).to.equal(401);
      const [lacking] = Object.entries(HOLDERS).find(([, { scopes }]) => !scopes.has(scope)) ?? [];
      const refused = await call(method, path, as(lacking!));
      if (method !== 'HEAD') expect(refused.json<{ detail: string }>().detail, route).to.contain(`\`${scope}\``);
      expect(refused.statusCode, route).to.equal(403);
    }
  });

  it('is granted with the scope, by either header, also when the key must be looked up first', async () => {
    expect((await api.get('/tasks', as('reader'))).status).to.equal(200);
    expect((await api.get('/tasks', as('later'))).status).to.equal(200);
    expect((await api.get('/tasks', { 'x-api-key': 'reader' })).status).to.equal(200);
    expect((await api.get('/workers', { authorization: 'bearer  operator ' })).status).to.equal(200);
    const registered = await api.post('/register_function', { name: 'f', payload: PAYLOAD }, as('submitter'));
    expect(registered.status).to.equal(200);
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
});
