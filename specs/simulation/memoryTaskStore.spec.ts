import fc from 'fast-check';
import { Redis } from 'ioredis';
import { type SpecServer, startRedis } from '../support/servers.js';
import { type StoreCommand, storeCommands } from './storeCommands.js';
import { StorePair } from './storePair.js';

/** Few enough that commands meet, and spread over both shards. */
const TASK_IDS = Array.from({ length: 8 }, (_, index) => `0000000${index}-0000-4000-8000-00000000000${index}`);
const MAX_COMMANDS = 40;

describe('the in-memory model of the task store', () => {
  let server: SpecServer;
  let redis: Redis;

  before(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
  });

  after(async () => {
    redis.disconnect();
    await server.stop();
  });

  for (const [shards, numRuns] of [
    [1, 30],
    [2, 15],
  ] as const) {
    it(`answers and changes as the Lua scripts do on Redis, whatever the commands (${shards} shard${shards > 1 ? 's' : ''})`, async function () {
      this.timeout(60_000);
      this.slow(15_000);
      const sequence = fc.array(fc.oneof(...storeCommands), { minLength: 5, maxLength: MAX_COMMANDS, size: 'max' });
      const property = fc.asyncProperty(sequence, async (commands: StoreCommand[]) => {
        const pair = await StorePair.open(redis, shards, TASK_IDS);
        for (const command of commands) {
          await command.run(pair);
          await pair.expectEqual();
        }
      });
      await fc.assert(property, { numRuns, interruptAfterTimeLimit: 40_000, markInterruptAsFailure: false });
    });
  }
});
