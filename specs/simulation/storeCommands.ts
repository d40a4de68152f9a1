import { expect } from 'chai';
import fc from 'fast-check';
import type { Failure, Isolation } from '../../bus/messages.js';
import { PRIORITIES, type Priority } from '../../bus/redis/keys.js';
import { cutEntry, recordEntry, recordHead } from '../../bus/outputRecord.js';
import type { NewTask, RetryPolicy, Settlement } from '../../bus/taskStore.js';
import { claim, expectSameHandOvers, span, standingClaim, withdraw } from './claimCommands.js';
import { dependencyCommands } from './dependencyCommands.js';
import { command, inAnyOrder, pick, type StoreCommand, taskOf } from './storeCommand.js';
import { type AttemptPair, delayMs, PAIR_TENANTS, type StorePair } from './storePair.js';

const FUNCTION_ID = '7d6f0e66-5b0f-8c6e-9d6f-0e665b0f8c6e';

const failures: Failure[] = [
  { type: 'ProcessCrashed', message: 'the process was killed', signal: 'SIGKILL' },
  { type: 'ProcessCrashed', message: 'the process ended', exitCode: 0 },
  { type: 'ProcessCrashed', message: 'the process ended "so"', exitCode: 3 },
  { type: 'WorkerFailure', message: 'worker w was lost while it had the task' },
  { type: 'UserException', message: 'no', exception: 'Odd\nName', bases: ['mod.Odd', 'OSError', 'Exception'] },
  { type: 'UserException', message: 'no', exception: 'ValueError', bases: ['ValueError', 'Exception'] },
];

/** Delays of a millisecond, or of days: see `Span`. */
const retryPolicy: fc.Arbitrary<RetryPolicy> = fc.record(
  {
    maxRetries: fc.integer({ min: 1, max: 3 }),
    backoffMs: fc.constantFrom(0, 1, 1_000_000_000),
    backoffFactor: fc.constantFrom(1, 1.5),
    maxBackoffMs: fc.constantFrom(2, 2_000_000_000),
    jitter: fc.constantFrom(0, 0.5, 1),
    on: fc.constantFrom(['mod.Odd'], ['Odd', 'KeyError'], ['OSError'], ['ValueError', 'Timeout'], ['other.Odd']),
  },
  { requiredKeys: ['maxRetries', 'backoffMs', 'backoffFactor', 'maxBackoffMs', 'jitter'] },
);

function submitting(dependsOn: fc.Arbitrary<number[] | undefined>): fc.Arbitrary<StoreCommand> {
  return fc
    .array(
      fc.record({
        task: pick,
        priority: fc.constantFrom<Priority>(...PRIORITIES),
        maxAttempts: fc.integer({ min: 1, max: 3 }),
        delay: fc.option(span, { freq: 2 }),
        retry: fc.option(retryPolicy, { freq: 2, nil: undefined }),
        resultTtlSeconds: fc.option(fc.constantFrom(5_000, 20_000), { freq: 2, nil: undefined }),
        trace: fc.option(fc.constantFrom('00-1-2-01', '00-3-4-01'), { freq: 2, nil: undefined }),
        isolation: fc.constantFrom<Isolation | undefined>(undefined, undefined, 'fresh'),
        requirement: fc.constantFrom('', '', 'gpu', 'eu,gpu', '@cpython-3.11', 'eu@pypy-3.9'),
        dependsOn,
        tenant: fc.constantFrom(undefined, undefined, ...PAIR_TENANTS),
      }),
      { minLength: 1, maxLength: 5 },
    )
    .map((batch) =>
      command({ submit: batch }, async (pair) => {
        const tasks = batch.map(({ task, priority, maxAttempts, delay, requirement, retry, ...more }): NewTask => ({
          taskId: taskOf(pair, task),
          functionId: FUNCTION_ID,
          arguments: Buffer.from(`arguments ${task}`),
          priority,
          maxAttempts,
          timeoutMs: 100 * maxAttempts,
          delayMs: delay === null ? 0 : delayMs(delay),
          ...(retry && { retry }),
          ...(more.resultTtlSeconds && { resultTtlSeconds: more.resultTtlSeconds }),
          ...(more.isolation && { isolation: more.isolation }),
          ...(more.trace !== undefined && { trace: more.trace }),
          ...(requirement !== '' && { requirement }),
          ...(more.tenant !== undefined && { tenant: more.tenant }),
          ...(more.dependsOn && { dependsOn: more.dependsOn.map((picked) => taskOf(pair, picked)) }),
        }));
        const handed = { real: 0, model: 0 };
        const [real, model] = await pair.both('lasting', (store, side) =>
          store.submit(tasks, (count) => (handed[side] += count)),
        );
        expect(model).to.deep.equal(real);
        expect(handed.model, 'handed over').to.equal(handed.real);
        await expectSameHandOvers(pair);
        for (const { taskId, dependsOn = [] } of tasks) {
          for (const dependency of dependsOn) pair.waits.push({ taskId, dependency });
        }
      }),
    );
}

const submit = submitting(fc.option(fc.array(pick, { minLength: 1, maxLength: 4 }), { freq: 2, nil: undefined }));
/** What others can wait for from the start. */
const submitIndependent = submitting(fc.constant(undefined));

const findClaims = fc.array(pick, { minLength: 1, maxLength: 2 }).map((picked) =>
  command({ findClaims: picked }, async (pair) => {
    const nonces = picked.map((number) => pair.recentNonce(number));
    const [real, model] = await pair.both('lasting', (store) => store.findClaims(nonces));
    const inOrder = (refs: typeof real): string[] => refs.map(({ taskId, fence }) => `${taskId} ${fence}`).sort();
    expect(inOrder(model)).to.deep.equal(inOrder(real));
  }),
);

const dispatcher = fc.constantFrom('dispatcher', 'another');

const renewed = fc.record({
  attempts: fc.array(pick, { maxLength: 4 }),
  lease: span,
  adopter: fc.option(dispatcher, { nil: undefined }),
});
const renew = renewed.map(({ attempts, lease, adopter }) =>
  command({ renew: attempts, lease, adopter }, async (pair) => {
    const chosen = attemptsOf(pair, attempts);
    const [real, model] = await pair.both(lease, (store, side) =>
      store.renew(
        chosen.map((attempt, index) => ({ ...attempt[side], worker: `w${index}` })),
        adopter,
      ),
    );
    expect(model).to.deep.equal(real);
  }),
);

const wholeRecord = Buffer.concat([
  recordHead(1),
  recordEntry({ atMs: 1_000, stream: 'stderr', bytes: Buffer.from('stopping\n') }),
]);
const cutRecord = Buffer.concat([wholeRecord, cutEntry(1_001)]);

const settle = fc
  .array(
    fc.record({
      attempt: pick,
      event: fc.constantFrom<Settlement['event']>('task.succeeded', 'task.raised', 'task.raised', 'task.interrupted'),
      failure: fc.constantFrom(...failures),
      lostBy: fc.option(dispatcher, { nil: undefined }),
      output: fc.constantFrom('', 'printed'),
      outputTruncated: fc.boolean(),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((batch) =>
    command({ settle: batch }, async (pair) => {
      const chosen = attemptsOf(
        pair,
        batch.map(({ attempt }) => attempt),
      );
      const settlements = (side: 'real' | 'model'): Settlement[] =>
        chosen.map((attempt, index) => {
          const { event, failure, lostBy, output, outputTruncated } = batch[index]!;
          return {
            ...attempt[side],
            event,
            payload: Buffer.from(event === 'task.interrupted' ? '' : `payload ${index}`),
            ...(event !== 'task.succeeded' && { failure }),
            ...(event === 'task.interrupted' && lostBy !== undefined && { lostBy }),
            worker: `w${index}`,
            startedAtMs: 1_000 + index,
            runTimeUs: 10 + index,
            peakMemoryKib: 100 + index,
            output: Buffer.from(output),
            outputTruncated,
          };
        });
      const [real, model] = await pair.both('lasting', (store, side) => store.settle(settlements(side)));
      expect(inAnyOrder(model)).to.deep.equal(inAnyOrder(real));
    }),
  );

const release = fc.array(pick, { minLength: 1, maxLength: 3 }).map((attempts) =>
  command({ release: attempts }, async (pair) => {
    const chosen = attemptsOf(pair, attempts);
    const [real, model] = await pair.both('lasting', (store, side) =>
      store.release(chosen.map((attempt) => attempt[side])),
    );
    expect(model).to.deep.equal(real);
  }),
);

const asker = fc.constantFrom(undefined, undefined, ...PAIR_TENANTS);
const cancel = fc.tuple(fc.array(pick, { minLength: 1, maxLength: 2 }), asker).map(([tasks, by]) =>
  command({ cancel: tasks, by }, async (pair) => {
    const taskIds = tasks.map((task) => taskOf(pair, task));
    const [real, model] = await pair.both('lasting', (store) => store.cancel(taskIds, by));
    const attemptNumberOnly = (answers: typeof real): unknown =>
      answers.map((answer) => (answer.cancelled ? { ...answer, fence: answer.fence.split(':')[0] } : answer));
    expect(attemptNumberOnly(inAnyOrder(model))).to.deep.equal(attemptNumberOnly(inAnyOrder(real)));
  }),
);

const keepOutput = fc.record({ attempt: pick, output: fc.constantFrom(wholeRecord, cutRecord) }).map((kept) =>
  command({ keepOutput: kept }, async (pair) => {
    const [attempt] = attemptsOf(pair, [kept.attempt]);
    const [real, model] = await pair.both('lasting', (store, side) =>
      store.keepOutput({ ...attempt![side], output: kept.output }),
    );
    expect(model).to.equal(real);
  }),
);

const reap = fc.record({ lease: span, enforced: fc.boolean() }).map(({ lease, enforced }) =>
  command({ reap: lease, enforced }, async (pair) => {
    if (enforced) await pair.enforceLeases();
    const [real, model] = await pair.both(lease, (store) => store.reap());
    // The oldest lease is first: a claim that meets a new requirement is two steps in Redis, and one in the model.
    const byId = (tasks: typeof real.tasks) => inAnyOrder(tasks).sort((a, b) => (a.taskId < b.taskId ? -1 : 1));
    expect({ ...model, tasks: byId(model.tasks) }).to.deep.equal({ ...real, tasks: byId(real.tasks) });
  }),
);

const restart = fc.constant(command('restart', (pair) => pair.restart()));

const depth = fc.constant(
  command('depth', async (pair) => {
    const [real, model] = await pair.both('lasting', (store) => store.queueDepth());
    expect(model).to.equal(real);
  }),
);

const nextDue = fc.constant(
  command('nextDue', async (pair) => {
    const [real, model] = await pair.both('lasting', (store) => store.nextDueMs());
    const roughly = (ms: number | undefined) => ms !== undefined && Math.round(ms / 1_000_000);
    expect(roughly(model)).to.equal(roughly(real));
  }),
);

const storeCommands: fc.Arbitrary<StoreCommand>[] = [
  submit,
  submit,
  claim,
  claim,
  standingClaim,
  standingClaim,
  findClaims,
  renew,
  settle,
  settle,
  release,
  cancel,
  cancel,
  keepOutput,
  reap,
  restart,
  depth,
  nextDue,
  ...dependencyCommands,
];

export const storeSequence = (maxLength: number): fc.Arbitrary<StoreCommand[]> =>
  fc.array(fc.oneof(...storeCommands), { minLength: 5, maxLength, size: 'max' });

/** Tasks that depend on others which then end: rare among all sequences. */
export function dependencySequence(maxLength: number): fc.Arbitrary<StoreCommand[]> {
  const commands = [submit, claim, standingClaim, settle, settle, cancel, reap, reap, ...dependencyCommands];
  return fc
    .tuple(submitIndependent, fc.array(fc.oneof(...commands), { minLength: 5, maxLength, size: 'max' }))
    .map(([first, others]) => [first, ...others]);
}

/** Recent attempts rather than old ones, now and then one that never was. */
function attemptsOf({ attempts, taskIds }: StorePair, picked: number[]): AttemptPair[] {
  return picked.map((number) => {
    const attempt = attempts[attempts.length - 1 - (number % Math.max(1, Math.min(12, attempts.length)))];
    if (attempt && number % 10 > 0) return attempt;
    const never = { taskId: taskIds[number % taskIds.length]!, fence: `${number % 3}:never` };
    return { real: never, model: never };
  });
}

/** Little but claims that stand, and what comes to them. */
export const standingSequence = (maxLength: number): fc.Arbitrary<StoreCommand[]> =>
  fc.array(fc.oneof(standingClaim, standingClaim, submitIndependent, submitIndependent, settle, release, withdraw), {
    minLength: 5,
    maxLength,
    size: 'max',
  });
