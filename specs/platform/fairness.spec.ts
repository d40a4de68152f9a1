import { expect } from 'chai';
import { Redis } from 'ioredis';
import { newApiKey } from '../../bus/apiKeys.js';
import { RedisApiKeys } from '../../bus/redis/redisApiKeys.js';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { PythonClient } from '../support/python.js';

const TASK_MS = 400;
const NAP = `def f():\n    import time\n    time.sleep(${TASK_MS / 1000})`;
const MANY = 100_000;
const PER_REQUEST = 10_000;

interface Story {
  queued_at_ms: number;
  started_at_ms: number;
}

describe('Tenants on a platform', function () {
  this.timeout(180_000);
  let platform: SpecPlatform;
  let python: PythonClient;
  let redis: Redis;

  before(async () => {
    python = new PythonClient();
    platform = await startPlatform({ slots: 1, env: { API_KEYS: 'required' } });
    redis = new Redis(platform.redis.url);
  });
  after(async () => {
    redis.disconnect();
    await platform.stop();
    await python.stop();
  });

  async function keyOf(tenant: string): Promise<string> {
    const { key, record } = newApiKey({ name: tenant, tenant, scopes: ['submit', 'read'] }, Date.now());
    await new RedisApiKeys(redis).add(record);
    return key;
  }

  async function call<Answer>(key: string, path: string, body?: unknown): Promise<Answer> {
    const answer = await fetch(platform.apiUrl + path, {
      ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', connection: 'close' },
    });
    expect(answer.status, path).to.equal(200);
    return (await answer.json()) as Answer;
  }

  async function submit(key: string, count: number): Promise<string[]> {
    const payload = await python.pickleFunction(NAP, 'f');
    const { function_id } = await call<{ function_id: string }>(key, '/register_function', { name: 'nap', payload });
    const args = await python.pickleArguments([]);
    const ids: string[] = [];
    for (let left = count; left > 0; left -= PER_REQUEST) {
      const payloads = Array.from({ length: Math.min(left, PER_REQUEST) }, () => args);
      const { task_ids } = await call<{ task_ids: string[] }>(key, '/tasks', { function_id, payloads });
      ids.push(...task_ids);
    }
    return ids;
  }

  it("start a task within three task lengths behind another's 100,000, and so does the tenant that has no name", async () => {
    const busy = await keyOf('busy');
    await submit(busy, MANY);
    for (const tenant of ['small', 'default']) {
      const key = await keyOf(tenant);
      const [taskId] = await submit(key, 1);
      await call(key, `/result/${taskId}?wait=30`);
      const story = await call<Story>(key, `/tasks/${taskId}`);
      expect(story.started_at_ms - story.queued_at_ms, tenant).to.be.within(0, 3 * TASK_MS);
    }
  });
});
