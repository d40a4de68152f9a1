import { expect } from 'chai';
import { Redis } from 'ioredis';
import type { Principal } from '../../api/principal.js';
import { SubmitRate } from '../../api/submitRate.js';
import { newApiKey } from '../../bus/apiKeys.js';
import type { PlatformError } from '../../bus/errors.js';
import { RedisTenants } from '../../bus/redis/redisTenants.js';
import { type ApiFixture, PAYLOAD, startApi } from './support/apiFixture.js';

const as = (key: string) => ({ authorization: `Bearer ${key}` });

describe('quotas in the API', function () {
  this.timeout(60_000);
  let api: ApiFixture;
  let redis: Redis;

  before(async () => {
    api = await startApi({ config: { apiKeysRequired: true, submitRate: 50 } });
    redis = new Redis(api.redis.url);
  });
  after(async () => {
    redis.disconnect();
    await api.stop();
  });

  async function member(
    tenant: string,
  ): Promise<{ key: string; submit: (count: number) => ReturnType<typeof api.post> }> {
    const { key, record } = newApiKey({ name: tenant, tenant, scopes: ['submit', 'read'] }, Date.now());
    await api.apiKeys.add(record);
    // An API looks for new keys now and then.
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { body } = await api.post('/register_function', { name: 'f', payload: PAYLOAD }, as(key));
    const payloads = (count: number) => Array.from({ length: count }, () => PAYLOAD);
    return {
      key,
      submit: (count) => api.post('/tasks', { function_id: body['function_id'], payloads: payloads(count) }, as(key)),
    };
  }

  it('refuse a request of too many tasks whole, say so, and say when to come back', async () => {
    await new RedisTenants(redis, { shards: 1 }).setLimits('acme', { maxWaiting: 7 });
    const { key, submit } = await member('acme');
    const refused = await submit(8);
    expect(refused.status).to.equal(429);
    expect(refused.body['code']).to.equal('QUOTA_EXCEEDED');
    expect(refused.body['detail']).to.equal('With this request its tenant would have more tasks waiting than it may.');
    expect(Number(refused.headers['retry-after'])).to.be.within(1, 60);
    expect((await api.get('/tasks', as(key))).body['tasks']).to.deep.equal([]);
    expect((await submit(7)).status).to.equal(200);
    expect((await submit(1)).status).to.equal(429);
  });

  it('bound what one key submits, and no other', async () => {
    const [busy, other] = [await member('busy'), await member('busy')];
    expect((await busy.submit(600)).status).to.equal(200);
    const refused = await busy.submit(1);
    expect(refused.status).to.equal(429);
    expect(refused.body['detail']).to.equal('This key submits more than 50 tasks per second.');
    expect(Number(refused.headers['retry-after'])).to.be.within(1, 2);
    expect((await other.submit(1)).status).to.equal(200);
  });

  it('give a key its rate, over time', () => {
    let nowMs = 0;
    const rate = new SubmitRate(10, () => nowMs);
    const holder: Principal = { tenant: 'acme', keyId: 'k', scopes: new Set() };
    let taken = 0;
    for (; nowMs < 60_000; nowMs += 10) {
      try {
        rate.take(holder, 1);
        taken++;
      } catch (error) {
        expect((error as PlatformError).code).to.equal('QUOTA_EXCEEDED');
        expect((error as PlatformError).retryAfterSeconds).to.equal(1);
      }
    }
    expect(taken).to.be.closeTo(10 * 60 + 100, 2);
  });
});
