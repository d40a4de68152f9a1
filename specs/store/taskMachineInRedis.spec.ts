import { expect } from 'chai';
import fc from 'fast-check';
import { getShortestPaths, getSimplePaths } from 'xstate/graph';
import { type TaskEvent, taskMachine, type TaskMachineState } from '../../actors/lifecycles/taskMachine.js';
import { nextTaskState } from '../../actors/lifecycles/taskTransitions.js';
import { ALL_TASK_STATES, describeEvent, TASK_EVENTS } from '../lifecycles/support/taskEvents.js';
import { StoreFixture } from './support/storeFixture.js';
import { idInShard, TaskDriver } from './support/taskDriver.js';

const options = {
  events: TASK_EVENTS,
  filterEvents: (state: { can: (event: TaskEvent) => boolean }, event: TaskEvent) => state.can(event),
};
const eventsOf = ({ steps }: { steps: { event: TaskEvent }[] }): TaskEvent[] =>
  steps.slice(1).map(({ event }) => event);
const SHORTEST = getShortestPaths(taskMachine, options).map(eventsOf);
const SIMPLE = getSimplePaths(taskMachine, options).map(eventsOf);
const wayTo = (state: TaskMachineState): TaskEvent[] =>
  eventsOf(getShortestPaths(taskMachine, { ...options, toState: ({ value }) => value === state })[0]!);

const setsWhatIsLookedAt = (event: TaskEvent): boolean =>
  'attemptsLeft' in event ||
  event.type === 'task.unblocked' ||
  event.type === 'task.raised' ||
  event.type === 'task.retried';

for (const shards of [1, 3]) {
  for (const interruptedBy of ['settle', 'reap'] as const) {
    describe(`the task machine in Redis (${shards} shard(s), interruptions by ${interruptedBy})`, () => {
      let fixture: StoreFixture;
      let walks = 0;

      before(async () => {
        fixture = await StoreFixture.start({ shards });
      });
      beforeEach(() => fixture.empty());
      after(() => fixture.stop());

      /** Each task in another shard than the one before. */
      const driver = (): TaskDriver => new TaskDriver(fixture, idInShard(fixture, walks++ % shards), interruptedBy);

      /** Puts events to a task, legal or not, and holds what Redis does against the pure function. */
      async function walk(events: readonly TaskEvent[]): Promise<TaskDriver> {
        await fixture.empty();
        const task = driver();
        let state: TaskMachineState = 'new';
        for (const event of events) {
          const next = nextTaskState(state, event);
          const answer = await task.apply(event);
          expect(answer, `${describeEvent(event)} in ${state}`).to.equal(next === undefined ? 'refused' : 'made');
          state = next ?? state;
          expect(await task.state(), `after ${describeEvent(event)}`).to.equal(state);
        }
        return task;
      }

      it('goes every shortest path', async () => {
        for (const events of SHORTEST) await walk(events);
      });

      it('goes every simple path', async () => {
        for (const events of SIMPLE) await walk(events);
      });

      for (const state of ALL_TASK_STATES) {
        it(`leaves a task that is ${state} as it is on every event that the machine does not have there`, async () => {
          for (const event of TASK_EVENTS) {
            if (nextTaskState(state, event) !== undefined) continue;
            const task = await walk(wayTo(state));
            // The driver itself sets what guards look at: only the second time nothing may change.
            if (setsWhatIsLookedAt(event)) expect(await task.apply(event), describeEvent(event)).to.equal('refused');
            const before = await task.everything();
            expect(await task.apply(event), describeEvent(event)).to.equal('refused');
            expect(await task.everything(), describeEvent(event)).to.deep.equal(before);
            expect(await task.state(), describeEvent(event)).to.equal(state);
          }
        });
      }

      it('goes and refuses as the machine does on any sequence of events', async () => {
        const event = fc.constantFrom(...TASK_EVENTS);
        // Random events seldom lead far: legal ones are as frequent as any.
        const steps = fc.array(fc.record({ any: event, legal: fc.nat(), useLegal: fc.boolean() }), { maxLength: 30 });
        await fc.assert(
          fc.asyncProperty(steps, async (choices) => {
            let state: TaskMachineState = 'new';
            const events = choices.map(({ any, legal, useLegal }) => {
              const possible = TASK_EVENTS.filter((one) => nextTaskState(state, one) !== undefined);
              const chosen = useLegal && possible.length > 0 ? possible[legal % possible.length]! : any;
              state = nextTaskState(state, chosen) ?? state;
              return chosen;
            });
            await walk(events);
          }),
          { numRuns: 60 },
        );
      });
    });
  }
}
