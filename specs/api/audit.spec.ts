import { expect } from 'chai';
import type { AuditEntry } from '../../api/audit.js';
import { type NewApiKey, newApiKey } from '../../bus/apiKeys.js';
import { type ApiFixture, PAYLOAD, startApi, UNKNOWN_ID } from './support/apiFixture.js';

describe('the audit log', function () {
  this.timeout(30_000);
  let api: ApiFixture;
  let entries: AuditEntry[];
  let key: string;

  before(async () => {
    entries = [];
    api = await startApi({ config: { apiKeysRequired: true }, audit: (entry) => void entries.push(entry) });
    key = await make({ name: 'x', tenant: 'default', scopes: ['submit', 'read', 'operate', 'admin'] });
  });
  beforeEach(() => void entries.splice(0));
  after(() => api.stop());

  async function make(wanted: NewApiKey): Promise<string> {
    const made = newApiKey(wanted, Date.now());
    await api.apiKeys.add(made.record);
    await new Promise((resolve) => setTimeout(resolve, 120));
    return made.key;
  }
  const id = (): string => key.split('_')[1]!;
  const post = (url: string, body: unknown = {}) => api.post(url, body, { authorization: `Bearer ${key}` });

  it('has one line for a request, however many tasks, with who, what and how it ended', async () => {
    const { body } = await post('/register_function', { name: 'f', payload: PAYLOAD });
    const functionId = String(body['function_id']);
    const payloads = Array<string>(500).fill(PAYLOAD);
    const submitted = await post('/tasks', { function_id: functionId, payloads });
    expect(entries).to.have.length(2);
    expect(entries[0]).to.deep.include({ action: 'function.register', target: { function_id: functionId } });
    expect(entries[1]).to.deep.include({
      ...{ action: 'tasks.submit', outcome: 'done', key: id(), tenant: 'default', status: 200 },
      ...{ request_id: submitted.headers['x-request-id'] },
      target: { group_id: submitted.body['group_id'], tasks: 500 },
    });
  });

  it('has lines for all that changes something, and for nothing else', async () => {
    const calls: [string, string, unknown][] = [
      ['task.submit', '/execute_function', { function_id: UNKNOWN_ID, payload: PAYLOAD }],
      ['task.cancel', `/tasks/${UNKNOWN_ID}/cancel`, {}],
      ['tasks.cancel', '/tasks/cancel', { task_ids: [UNKNOWN_ID] }],
      ['task.run_again', `/tasks/${UNKNOWN_ID}/run_again`, {}],
      ['tasks.run_again', '/tasks/run_again', {}],
      ['worker.drain', '/workers/w1/drain', {}],
      ['dispatcher.drain', '/dispatchers/d1/drain', {}],
      ['group.create', '/groups', {}],
      ['group.close', `/groups/${UNKNOWN_ID}/close`, {}],
      ['group.cancel', `/groups/${UNKNOWN_ID}/cancel`, {}],
      ['key.create', '/keys', { name: 'ci', tenant: 'a', scopes: ['read'] }],
      ['key.revoke', '/keys/none/revoke', {}],
    ];
    for (const [action, url, body] of calls) {
      const { status } = await post(url, body);
      const [entry, more] = entries.splice(0);
      expect(more, url).to.equal(undefined);
      expect(entry, url).to.include({ action, outcome: status < 400 ? 'done' : 'refused', status, key: id() });
    }
    const changing = api.app.guardedRoutes.filter(({ method }) => method === 'POST' || method === 'DELETE');
    const silent = changing.filter(({ config }) => config?.audit === undefined).map(({ url }) => url);
    // They read, with a body.
    expect(silent).to.have.members(['/results', '/groups/:group_id/results']);
    await api.get('/tasks', { authorization: `Bearer ${key}` });
    expect(entries).to.deep.equal([]);
  });

  it('tells who was not let through, and keeps a flood of them small', async () => {
    const weak = await make({ name: '', tenant: 'team-a', scopes: ['read'] });
    await api.post('/tasks', {}, { authorization: `Bearer ${weak}` });
    await api.get('/tasks', { authorization: `Bearer ${key.slice(0, -1)}x` });
    expect(entries).to.have.length(2);
    const tried = { action: 'denied', outcome: 'denied', code: 'FORBIDDEN', route: '/tasks', tenant: 'team-a' };
    expect(entries[0]).to.include({ ...tried, key: weak.split('_')[1], method: 'POST', status: 403 });
    expect(entries[1]).to.include({ action: 'denied', code: 'UNAUTHENTICATED', status: 401 });
    const startMs = performance.now();
    for (let n = 0; n < 500; n++) await api.get('/tasks');
    const seconds = Math.ceil((performance.now() - startMs) / 1000) + 1;
    expect(entries.length).to.be.at.most(2 + 10 * seconds);
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    await api.get('/tasks');
    const untold = entries.reduce((sum, { untold }) => sum + Number(untold ?? 0), 0);
    expect(entries.length + untold).to.equal(503);
  });

  it('has no key, nor what looks like the rest of one', async () => {
    await post('/keys', { name: 'ci', tenant: 'a', scopes: ['read'] });
    await api.get('/tasks', { 'x-api-key': `${key.slice(0, -1)}0` });
    const text = JSON.stringify(entries);
    expect(text).to.contain(id());
    expect(text).to.not.match(/mpcs_|[0-9a-f]{39}/);
  });
});
