import { expect } from 'chai';
import { randomUUID } from 'node:crypto';
import { newApiKey, type Scope } from '../../bus/apiKeys.js';
import { type Answer, type ApiFixture, PAYLOAD, startApi } from './support/apiFixture.js';

const USUAL: readonly Scope[] = ['submit', 'read', 'operate'];
const HOLDERS: Record<string, { tenant: string; scopes: readonly Scope[] }> = {
  acme: { tenant: 'acme', scopes: USUAL },
  zoo: { tenant: 'zoo', scopes: USUAL },
  house: { tenant: 'default', scopes: USUAL },
  admin: { tenant: 'default', scopes: [...USUAL, 'admin'] },
};
const keys: Record<string, string> = {};
const as = (who: string) => ({ authorization: `Bearer ${keys[who]}` });

/** What a tenant has, by the names of parameters. */
interface Owned {
  task_id: string;
  function_id: string;
  group_id: string;
}

/** How a route is asked for something of somebody's: the body, and what is behind the path. Undefined: it takes no id. */
type Question = (owned: Owned) => { body?: unknown; query?: string };
const plain: Question = () => ({});
const nothing: Question = () => ({ body: {} });

/** Every route that a key is needed for. One that is missing here fails the spec: say how it is asked for what another tenant has. */
const ROUTES: Record<string, Question> = {
  'POST /register_function': () => ({ body: { name: 'f', payload: PAYLOAD } }),
  'POST /execute_function': ({ function_id }) => ({ body: { function_id, payload: PAYLOAD } }),
  'GET /status/:task_id': plain,
  'GET /result/:task_id': plain,
  'GET /functions/:function_id': plain,
  'POST /tasks': ({ function_id }) => ({ body: { function_id, payloads: [PAYLOAD] } }),
  'POST /results': ({ task_id }) => ({ body: { task_ids: [task_id] } }),
  'POST /groups': nothing,
  'GET /groups/:group_id': plain,
  'POST /groups/:group_id/close': nothing,
  'POST /groups/:group_id/cancel': nothing,
  'GET /groups/:group_id/results': () => ({ query: '?wait=0' }),
  'POST /groups/:group_id/results': () => ({ body: { wait: 0 } }),
  'GET /tasks/:task_id': plain,
  'POST /tasks/:task_id/cancel': nothing,
  'POST /tasks/cancel': ({ task_id }) => ({ body: { task_ids: [task_id] } }),
  'GET /tasks/:task_id/logs': plain,
  'GET /tasks': ({ function_id }) => ({ query: `?function=${function_id}` }),
  'GET /functions': plain,
  'POST /tasks/:task_id/run_again': nothing,
  'POST /tasks/run_again': ({ function_id }) => ({ body: { function: function_id } }),
  'GET /workers': plain,
  'GET /dispatchers': plain,
  'GET /stats': plain,
  'GET /metrics': plain,
  'POST /workers/:name/drain': nothing,
  'POST /dispatchers/:id/drain': nothing,
};

/** The totals of `GET /stats`, again and again. */
const ENDLESS = ['GET /dashboard/stream'];

describe('tenants', function () {
  this.timeout(60_000);
  let api: ApiFixture;

  before(async () => {
    api = await startApi({ config: { apiKeysRequired: true } });
    for (const [name, holder] of Object.entries(HOLDERS)) {
      const { key, record } = newApiKey({ name, ...holder }, Date.now());
      await api.apiKeys.add(record);
      keys[name] = key;
    }
  });
  after(() => api.stop());

  async function owned(key: string): Promise<Owned & { failed: string }> {
    const payload = Buffer.from(`\x80\x04K${String.fromCharCode(key.length)}.`, 'latin1').toString('base64');
    const registered = await api.post('/register_function', { name: `of ${key}`, payload }, as(key));
    const function_id = String(registered.body['function_id']);
    const submitted = await api.post('/tasks', { function_id, payloads: [PAYLOAD, PAYLOAD] }, as(key));
    const [task_id, failed] = submitted.body['task_ids'] as string[];
    const claimed = await api.claim();
    const failure = { type: 'UserException', message: `secret of ${key}` } as const;
    await api.settle(
      claimed.find((task) => task.taskId === failed)!,
      { event: 'task.raised', failure },
    );
    return { task_id: task_id!, function_id, group_id: String(submitted.body['group_id']), failed: failed! };
  }
  const random = (): Owned => ({ task_id: randomUUID(), function_id: randomUUID(), group_id: randomUUID() });

  function ask(key: string, route: string, thing: Owned): Promise<Answer> {
    const [method = '', path = ''] = route.split(' ');
    const { body, query = '' } = ROUTES[route]!(thing);
    const params: Record<string, string> = { ...thing, name: randomUUID(), id: randomUUID() };
    const url = path.replace(/:(\w+)/g, (_, name: string) => params[name]!) + query;
    return method === 'POST' ? api.post(url, body, as(key)) : api.get(url, as(key));
  }

  /** Without what is random in any answer, and what was asked for. */
  function comparable({ status, text }: Answer, thing: Owned): unknown {
    let words = text;
    for (const id of Object.values<string>({ ...thing })) words = words.replaceAll(id, 'ID');
    words = words.replace(/[\da-f]{8}-[\da-f-]{27}/g, 'SOME ID').replace(/"at(_ms)?":("[^"]*"|\d+)/g, '"at":0');
    return { status, words: words.replace(/"(uptime|heartbeat)[^,}]*/g, '') };
  }

  it('are told of what others have what they are told of what does not exist, on every route there is', async () => {
    const theirs = await owned('acme');
    const routes = api.app.guardedRoutes.flatMap(({ method, url, config }) =>
      config?.scope === 'public' || config?.scope === 'admin' ? [] : [method].flat().map((one) => `${one} ${url}`),
    );
    const asked = routes.filter((route) => !/^(HEAD|OPTIONS) /.test(route) && !ENDLESS.includes(route));
    expect(asked.length).to.be.greaterThan(20);
    for (const route of asked) {
      expect(ROUTES, 'every route that a key is needed for').to.have.property(route);
      for (const key of ['zoo', 'house']) {
        const unknown = random();
        const before = comparable(await ask(key, route, unknown), unknown);
        for (const task_id of [theirs.task_id, theirs.failed]) {
          const thing = { ...theirs, task_id };
          const answer = await ask(key, route, thing);
          expect(comparable(answer, thing), `${key}: ${route}`).to.deep.equal(before);
          expect(answer.text, `${key}: ${route}`).not.to.contain('secret of acme');
          // Lists have no id that was asked for, and must not have any.
          const isAskedFor = (id: string): boolean =>
            route.includes(':') || JSON.stringify(ROUTES[route]!(thing)).includes(id);
          for (const id of [theirs.task_id, theirs.failed, theirs.function_id])
            if (!isAskedFor(id)) expect(answer.text, route).not.to.contain(id);
        }
      }
    }
    // Nothing of it has touched what it was about.
    expect((await api.get(`/status/${theirs.task_id}`, as('acme'))).body['status']).to.equal('RUNNING');
    const group = (await api.get(`/groups/${theirs.group_id}`, as('acme'))).body;
    expect(group).to.include({ total: 2, closed: false, cancelled: 0 });
    expect((await api.get(`/tasks/${theirs.failed}`, as('acme'))).body['run_again_as']).to.equal(null);
  });

  it('are shown to who has the scope admin', async () => {
    const theirs = await owned('zoo');
    for (const url of [`/tasks/${theirs.failed}`, `/functions/${theirs.function_id}`, `/result/${theirs.failed}`]) {
      expect((await api.get(url, as('admin'))).status, url).to.equal(200);
    }
    const { text } = await api.get('/tasks', as('admin'));
    expect(text).to.contain(theirs.task_id).and.contain(theirs.failed);
    expect((await api.get('/functions', as('admin'))).text).to.contain(theirs.function_id);
    const again = await api.post(`/tasks/${theirs.failed}/run_again`, {}, as('admin'));
    // It stays whose it was.
    const newTask = String(again.body['task_id']);
    expect((await api.get(`/status/${newTask}`, as('zoo'))).status).to.equal(200);
    expect((await api.get(`/status/${newTask}`, as('house'))).status).to.equal(404);
  });

  it('may not make tasks that depend on those of others', async () => {
    const mine = await owned('zoo');
    const theirs = await owned('acme');
    for (const id of [theirs.task_id, randomUUID()]) {
      const body = { function_id: mine.function_id, payload: PAYLOAD, depends_on: [mine.task_id, id] };
      const refused = await api.post('/execute_function', body, as('zoo'));
      expect(refused.status).to.equal(404);
      expect(refused.body['detail']).to.equal(`There is no task ${id}, which is in \`depends_on\`.`);
    }
  });

  it('have idempotency keys of their own', async () => {
    const [mine, theirs] = [await owned('zoo'), await owned('acme')];
    const once = { 'idempotency-key': 'the-same' };
    const submit = (key: string, function_id: string, header: Record<string, string> = once) =>
      api.post('/execute_function', { function_id, payload: PAYLOAD }, { ...as(key), ...header });
    const first = await submit('acme', theirs.function_id);
    const repeated = await submit('acme', theirs.function_id);
    expect(repeated.body).to.deep.equal(first.body);
    const other = await submit('zoo', mine.function_id);
    expect(other.status).to.equal(200);
    expect(other.body['task_id']).not.to.equal(first.body['task_id']);
    // Nor can a key be written so that it lies where another's does.
    for (const forged of ['acme/the-same', '/acme/the-same', ':acme/the-same']) {
      const answer = await submit('house', (await owned('house')).function_id, { 'idempotency-key': forged });
      expect(answer.status, forged).to.equal(200);
      expect(answer.body['task_id']).not.to.equal(first.body['task_id']);
    }
  });

  it('have groups of their own, also under the same id', async () => {
    const [mine, theirs] = [await owned('zoo'), await owned('acme')];
    const body = { function_id: mine.function_id, payloads: [PAYLOAD], group_id: theirs.group_id };
    expect((await api.post('/tasks', body, as('zoo'))).status).to.equal(200);
    expect((await api.get(`/groups/${theirs.group_id}`, as('zoo'))).body['total']).to.equal(1);
    expect((await api.get(`/groups/${theirs.group_id}`, as('acme'))).body['total']).to.equal(2);
  });

  it('cannot tell from the id of a function whether others have it', async () => {
    const register = (key: string) => api.post('/register_function', { name: 'f', payload: PAYLOAD }, as(key));
    const ids = [];
    for (const key of ['acme', 'zoo', 'house']) ids.push(String((await register(key)).body['function_id']));
    expect(new Set(ids).size).to.equal(3);
    expect((await register('acme')).body['function_id']).to.equal(ids[0]);
  });

  it("page through lists of their own, with nobody else's cursor", async () => {
    const theirs = [await owned('acme'), await owned('acme')];
    const mine = await owned('zoo');
    const page = await api.get('/tasks?limit=1', as('acme'));
    const cursor = String(page.body['cursor']);
    for (const key of ['zoo', 'house']) {
      const { text, status } = await api.get(`/tasks?limit=1000&cursor=${encodeURIComponent(cursor)}`, as(key));
      expect(status).to.equal(200);
      for (const { task_id, failed } of theirs) expect(text).not.to.contain(task_id).and.not.to.contain(failed);
    }
    const named = await api.get(`/tasks?ids=${theirs[0]!.task_id},${mine.task_id}`, as('zoo'));
    expect(named.text).to.contain(mine.task_id).and.not.contain(theirs[0]!.task_id);
    let next: string | null = '';
    const seen: string[] = [];
    while (next !== null) {
      const { body }: Answer = await api.get(
        `/tasks?limit=2${next && `&cursor=${encodeURIComponent(next)}`}`,
        as('zoo'),
      );
      seen.push(...(body['tasks'] as { task_id: string }[]).map(({ task_id }) => task_id));
      next = body['cursor'] as string | null;
    }
    expect(seen).to.include(mine.task_id);
    const failedOnes = (await api.get('/tasks?status=FAILED', as('zoo'))).body['tasks'] as { failure: unknown }[];
    expect(JSON.stringify(failedOnes)).to.contain('secret of zoo').and.not.contain('secret of acme');
  });

  it('hear nothing of the ends of tasks that others have, whenever those come', async () => {
    const theirs = await owned('acme');
    const waits = [
      api.get(`/result/${theirs.task_id}?wait=2`, as('zoo')),
      api.post('/results', { task_ids: [theirs.task_id], wait: 2 }, as('zoo')),
      api.post('/results', { task_ids: [theirs.task_id], wait: 1 }, { ...as('zoo'), accept: 'application/x-ndjson' }),
    ];
    const tell = (): void => {
      api.settled.onSettled([{ taskId: theirs.task_id, state: 'completed', payload: Buffer.from('their secret') }]);
    };
    for (let ms = 0; ms < 300; ms += 5) {
      tell();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const [result, results, stream] = await Promise.all(waits);
    expect(result!.status).to.equal(404);
    expect(results!.status).to.equal(404);
    expect(stream!.text).to.contain('UNKNOWN').and.not.contain('COMPLETED');
    expect(stream!.text).not.to.contain(Buffer.from('their secret').toString('base64'));
  });

  it('store nothing more in `default` than there was before tenants', async () => {
    const own = await startApi();
    try {
      await own.submit();
      const keys = await own.store['redis'].keys('*');
      expect(keys.filter((key) => /tenant|turns|passes|:\/|zoo|acme/.test(key))).to.deep.equal([]);
      const [task] = keys.filter((key) => key.includes(':task:'));
      expect(Object.keys(await own.store['redis'].hgetall(task!))).to.have.members([
        ...['state', 'function', 'args', 'submitted'],
      ]);
    } finally {
      await own.stop();
    }
  });
});
