import fc from 'fast-check';
import { Redis } from 'ioredis';
import { type SpecServer, startRedis } from '../support/servers.js';
import type { StoreCommand } from './storeCommand.js';
import { dependencySequence, standingSequence, storeSequence } from './storeCommands.js';
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

  for (const [words, sequence, shards, numRuns] of [
    ['whatever the commands', storeSequence, 1, 15],
    ['whatever the commands', storeSequence, 2, 8],
    ['whatever is handed over', standingSequence, 1, 15],
    ['however tasks depend on each other', dependencySequence, 1, 20],
    ['however tasks depend on each other', dependencySequence, 2, 10],
  ] as const) {
    it(`answers and changes as the Lua scripts do on Redis, ${words} (${shards} shard${shards > 1 ? 's' : ''})`, async function () {
      this.timeout(60_000);
      this.slow(15_000);
      const property = fc.asyncProperty(sequence(MAX_COMMANDS), async (chosen: StoreCommand[]) => {
        const pair = await StorePair.open(redis, shards, TASK_IDS);
        try {
          for (const command of chosen) {
            await command.run(pair);
            await pair.expectEqual();
          }
        } finally {
          await pair.close();
        }
      });
      await fc.assert(property, { numRuns, interruptAfterTimeLimit: 40_000, markInterruptAsFailure: false });
    });
  }
});
