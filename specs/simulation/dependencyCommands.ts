import { expect } from 'chai';
import fc from 'fast-check';
import { type Dependency, type DependencyEnd, isTerminal, type TaskState } from '../../bus/taskStore.js';
import { command, inAnyOrder, pick, type StoreCommand, taskOf } from './storeCommand.js';
import type { StorePair } from './storePair.js';

const picks = fc.array(pick, { minLength: 1, maxLength: 5 });

/** Mostly what some task waits for, recent ones rather than old ones; and what no task has said. */
function waitsOf(pair: StorePair, picked: readonly number[]): Dependency[] {
  return picked.map((number) => {
    const { waits } = pair;
    const wait = waits[waits.length - 1 - (number % Math.max(1, Math.min(12, waits.length)))];
    if (wait && number % 3 > 0) return wait;
    return { taskId: taskOf(pair, number), dependency: taskOf(pair, number + 1) };
  });
}

const awaited = picks.map((picked) =>
  command({ awaitDependencies: picked }, async (pair) => {
    const waits = waitsOf(pair, picked);
    const [real, model] = await pair.both('lasting', (store) => store.awaitDependencies(waits));
    expect(model).to.deep.equal(real);
  }),
);

/** Ends as they are, and ends that never were: the step believes whoever tells. */
const resolved = fc
  .record({
    picked: picks,
    claimed: fc.constantFrom('actual', 'completed', 'completed', 'failed', 'cancelled', 'gone'),
  })
  .map(({ picked, claimed }) =>
    command({ resolve: picked, claimed }, async (pair) => {
      const waits = waitsOf(pair, picked);
      let ends: DependencyEnd[] = [];
      if (claimed === 'actual') {
        const [states] = await pair.both('lasting', (store) =>
          store.readStatuses(waits.map(({ dependency }) => dependency)),
        );
        ends = waits.flatMap((wait, index) => endOf(wait, states[index]));
      } else {
        const state = claimed === 'gone' ? undefined : claimed;
        ends = waits.map((wait) => ({ ...wait, state }));
      }
      const [real, model] = await pair.both('lasting', (store) => store.resolveDependencies(ends));
      expect(inAnyOrder(model)).to.deep.equal(inAnyOrder(real));
    }),
  );

const endOf = (wait: Dependency, state: TaskState | undefined): DependencyEnd[] =>
  state === undefined || isTerminal(state) ? [{ ...wait, state }] : [];

/** When blocked tasks were looked at last: just now, long ago, or in a future that the clock has come back from. */
const found = fc.constantFrom('lately', 'long ago', 'in future').map((looked) =>
  command({ findBlocked: looked }, async (pair) => {
    if (looked !== 'lately') await pair.lookedAt(looked === 'long ago' ? 1 : 9_000_000_000_000);
    const [real, model] = await pair.both('lasting', (store) => store.findBlocked());
    const texts = (waits: Dependency[]): string[] =>
      waits.map(({ taskId, dependency }) => `${taskId} ${dependency}`).sort();
    expect(texts(model)).to.deep.equal(texts(real));
  }),
);

export const dependencyCommands: fc.Arbitrary<StoreCommand>[] = [awaited, awaited, resolved, resolved, found];
