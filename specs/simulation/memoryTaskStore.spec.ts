import { expect } from 'chai';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { randomUUID } from 'node:crypto';
import type { TaskRef } from '../../bus/messages.js';
import type { NewTask } from '../../bus/taskStore.js';
import { type SpecServer, startRedis } from '../support/servers.js';
import { expectSameClaim, expectSameHandOvers } from './claimCommands.js';
import type { StoreCommand } from './storeCommand.js';
import { dependencySequence, standingSequence, storeSequence } from './storeCommands.js';
import { STANDING_CLAIMANT, StorePair } from './storePair.js';

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

  it('drops as many entries of cancelled tasks in one step as the Lua scripts do, when it claims and when it hands over', async function () {
    this.timeout(60_000);
    const pair = await StorePair.open(redis, 1, TASK_IDS);
    const tasks = Array.from({ length: 5_000 }, (_, i): NewTask => ({
      ...{ taskId: randomUUID(), functionId: randomUUID(), arguments: Buffer.from('x'), priority: 'normal' },
      ...{ maxAttempts: 3, timeoutMs: 0, delayMs: 0, ...(i % 4 === 0 && { tenant: 'acme' }) },
    }));
    const ids = tasks.map(({ taskId }) => taskId);
    /** Until nothing is left; the attempts of each side. */
    const claimAll = async (claimant: string, standMs = 0): Promise<{ real: TaskRef[]; model: TaskRef[] }> => {
      const attempts = { real: [] as TaskRef[], model: [] as TaskRef[] };
      for (;;) {
        const nonce = pair.nextNonce();
        const [real, model] = await pair.both('lasting', (store) =>
          store.claim(claimant, 300, nonce, undefined, undefined, standMs),
        );
        expectSameClaim(pair, real, model);
        await pair.expectEqual();
        attempts.real.push(...real.claimed);
        attempts.model.push(...model.claimed);
        if (real.claimed.length === 0 && !real.isCut) return attempts;
      }
    };
    try {
      await pair.both('lasting', (store) => store.submit(tasks));
      const attempts = await claimAll('dispatcher');
      await claimAll(STANDING_CLAIMANT, 1_000_000);
      await pair.both('lasting', (store, side) => store.release(attempts[side]));
      await pair.both('lasting', (store) => store.cancel(ids));
      await pair.expectEqual();
      const handed = { real: 0, model: 0 };
      const more = ['acme', undefined].map((tenant) => ({
        ...tasks[1]!,
        taskId: randomUUID(),
        ...(tenant && { tenant }),
      }));
      await pair.both('lasting', (store, side) => store.submit(more, (count) => (handed[side] += count)));
      expect(handed).to.deep.equal({ real: 0, model: 0 });
      await expectSameHandOvers(pair);
      await pair.expectEqual();
      // That of acme, which has fewer entries, has been handed over all the same.
      expect((await claimAll('dispatcher')).real).to.have.length(1);
    } finally {
      await pair.close();
    }
  });
});
