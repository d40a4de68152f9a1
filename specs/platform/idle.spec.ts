import { expect } from 'chai';
import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../store/support/until.js';
import { type SpecPlatform, startPlatform } from '../support/platform.js';

const HEARTBEAT_MS = 200;
const BEATS = 10;
/** Of a poll in each heartbeat. */
const POLLS = 10;
/** The dispatcher's look, and what the monitor does. */
const SCRIPTS_PER_BEAT = 3;

describe('A platform that has nothing to do', function () {
  this.timeout(30_000);
  let platform: SpecPlatform;
  let redis: Redis;

  before(async () => {
    const intervals = { HEARTBEAT_MS: String(HEARTBEAT_MS), REAP_MS: String(HEARTBEAT_MS) };
    platform = await startPlatform({ env: { ...intervals, POLL_MS: String(HEARTBEAT_MS / POLLS) } });
    redis = new Redis(platform.redis.url);
  });
  after(async () => {
    redis.disconnect();
    await platform.stop();
  });

  const scriptsRun = async (): Promise<number> =>
    Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1]);

  async function scriptsInBeats(): Promise<number> {
    const before = await scriptsRun();
    await sleep(BEATS * HEARTBEAT_MS);
    return (await scriptsRun()) - before;
  }

  it('asks Redis once a heartbeat, and more often when nobody could tell the dispatcher of tasks', async () => {
    const quiet = BEATS * SCRIPTS_PER_BEAT;
    await until(async () => (await scriptsInBeats()) < quiet + BEATS, 15_000);
    expect(await scriptsInBeats()).to.be.within(quiet / 2, quiet + BEATS);
    await platform.nats.kill('SIGKILL');
    await until(async () => (await scriptsInBeats()) > (BEATS * POLLS) / 2, 15_000);
  });
});
