import { expect } from 'chai';
import { type Actor, createActor, SimulatedClock } from 'xstate';
import { getShortestPaths, getSimplePaths } from 'xstate/graph';
import { type WorkerEvent, workerMachine, type WorkerState } from '../../actors/lifecycles/workerMachine.js';

const EVENTS: WorkerEvent[] = [
  { type: 'worker.joined' },
  { type: 'worker.assigned' },
  { type: 'worker.idled' },
  { type: 'worker.beat', hasWork: true },
  { type: 'worker.beat', hasWork: false },
  { type: 'worker.draining' },
  { type: 'worker.left' },
  { type: 'worker.lost' },
];
/** What the clock sends: each state's own silence. */
const SILENCE = ['joining', 'ready', 'busy', 'suspect', 'draining'].flatMap((state) =>
  ['suspectAfter', 'lostAfter', 'lostAfterSuspect'].map((delay) => ({ type: `xstate.after.${delay}.worker.${state}` })),
) as unknown as WorkerEvent[];
const TIMINGS = { suspectAfterMs: 2_000, lostAfterMs: 3_000 };
const STATES: WorkerState[] = ['joining', 'ready', 'busy', 'suspect', 'draining', 'lost', 'gone'];

const options = {
  input: TIMINGS,
  events: [...EVENTS, ...SILENCE],
  filterEvents: (state: { can: (event: WorkerEvent) => boolean }, event: WorkerEvent) => state.can(event),
};

/** A transition that changes the state, as `from event to`. */
type Step = [from: WorkerState, event: string, to: WorkerState];
const LEAVING: Step[] = (['joining', 'ready', 'busy', 'suspect', 'draining'] as const).flatMap((from): Step[] => [
  [from, 'worker.left', 'gone'],
  [from, 'worker.lost', 'lost'],
]);
const STEPS: Step[] = [
  ...LEAVING,
  ['joining', 'worker.joined', 'ready'],
  ['joining', 'worker.joined', 'busy'],
  ['joining', 'xstate.after.lostAfter.worker.joining', 'lost'],
  ['ready', 'worker.assigned', 'busy'],
  ['ready', 'worker.beat', 'busy'],
  ['ready', 'worker.draining', 'draining'],
  ['ready', 'xstate.after.suspectAfter.worker.ready', 'suspect'],
  ['busy', 'worker.idled', 'ready'],
  ['busy', 'worker.beat', 'ready'],
  ['busy', 'worker.draining', 'draining'],
  ['busy', 'xstate.after.suspectAfter.worker.busy', 'suspect'],
  ['suspect', 'worker.beat', 'busy'],
  ['suspect', 'worker.beat', 'ready'],
  ['suspect', 'worker.draining', 'draining'],
  ['suspect', 'xstate.after.lostAfterSuspect.worker.suspect', 'lost'],
  ['draining', 'xstate.after.lostAfter.worker.draining', 'lost'],
];

describe('the worker machine', () => {
  const shortest = getShortestPaths(workerMachine, options);
  const simple = getSimplePaths(workerMachine, options);

  it('reaches each of its states', () => {
    expect([...new Set(shortest.map(({ state }) => state.value))]).to.have.members(STATES);
  });

  it('changes its state as written here, on all simple paths, and in no other way', () => {
    const taken = new Set<string>();
    for (const { steps } of simple) {
      for (const [index, step] of steps.slice(1).entries()) {
        const from = steps[index]!.state.value;
        if (from !== step.state.value) taken.add(`${from} ${step.event.type} ${step.state.value}`);
      }
    }
    expect([...taken].sort()).to.deep.equal([...new Set(STEPS.map((step) => step.join(' ')))].sort());
  });

  for (const { state, steps } of shortest) {
    const way = steps.map(({ event }) => event.type.replace('xstate.after.', 'silence:')).join(', ');
    it(`walks to ${state.value} (work: ${state.context.hasWork}) by ${way}`, () => {
      // A running actor, not the pure function: what the dispatcher has.
      const actor = createActor(workerMachine, { input: TIMINGS, clock: new SimulatedClock() }).start();
      for (const step of steps.slice(1)) {
        actor.send(step.event);
        expect(actor.getSnapshot().value).to.equal(step.state.value);
      }
      expect(actor.getSnapshot().context.hasWork).to.equal(state.context.hasWork);
      actor.stop();
    });
  }

  it('is final when lost or gone, and only then', () => {
    for (const state of STATES) {
      const final = workerMachine.states[state]!.type === 'final';
      expect(final, state).to.equal(state === 'lost' || state === 'gone');
    }
  });

  it('stays lost whatever comes', () => {
    const actor = createActor(workerMachine, { input: TIMINGS, clock: new SimulatedClock() }).start();
    actor.send({ type: 'worker.lost' });
    expect(actor.getSnapshot().status).to.equal('done');
    for (const event of EVENTS) expect(actor.getSnapshot().can(event), event.type).to.equal(false);
  });
});

describe('silence of a worker', () => {
  let clock: SimulatedClock;
  let worker: Actor<typeof workerMachine>;
  const state = (): WorkerState => worker.getSnapshot().value;
  const send = (...types: WorkerEvent['type'][]): void => {
    for (const type of types) worker.send({ type, hasWork: false });
  };
  /** Millisecond by millisecond: a timer must start when it would, not when a leap of the clock ends. */
  const advance = (byMs: number): void => {
    for (let elapsedMs = 0; elapsedMs < byMs; elapsedMs++) clock.increment(1);
  };
  const beat = (hasWork: boolean): void => worker.send({ type: 'worker.beat', hasWork });

  beforeEach(() => {
    clock = new SimulatedClock();
    worker = createActor(workerMachine, { input: TIMINGS, clock }).start();
  });
  afterEach(() => worker.stop());

  for (const [name, events] of [
    ['a ready', ['worker.joined']],
    ['a busy', ['worker.joined', 'worker.assigned']],
  ] as const) {
    it(`makes ${name} worker suspect after two heartbeats and lost after three`, () => {
      send(...events);
      advance(1_999);
      expect(state()).not.to.equal('suspect');
      advance(1);
      expect(state()).to.equal('suspect');
      advance(999);
      expect(state()).to.equal('suspect');
      advance(1);
      expect(state()).to.equal('lost');
    });
  }

  it('is counted anew from every sign of life', () => {
    send('worker.joined');
    for (let beats = 0; beats < 20; beats++) {
      advance(1_900);
      beat(beats % 3 === 0);
      expect(state()).to.equal(beats % 3 === 0 ? 'busy' : 'ready');
    }
    advance(1_999);
    expect(state()).not.to.equal('suspect');
    advance(1);
    expect(state()).to.equal('suspect');
  });

  it('is over when a suspect worker speaks, and takes three heartbeats again to be fatal', () => {
    send('worker.joined', 'worker.assigned');
    advance(2_900);
    expect(state()).to.equal('suspect');
    beat(true);
    expect(state()).to.equal('busy');
    advance(2_999);
    expect(state()).to.equal('suspect');
    advance(1);
    expect(state()).to.equal('lost');
  });

  it('is not shortened by work that comes or goes while it is suspect', () => {
    send('worker.joined');
    advance(2_500);
    send('worker.assigned', 'worker.idled', 'worker.assigned');
    expect(state()).to.equal('suspect');
    advance(499);
    expect(state()).to.equal('suspect');
    advance(1);
    expect(state()).to.equal('lost');
  });

  it('makes a draining worker lost after three heartbeats, without being suspect before', () => {
    send('worker.joined', 'worker.draining');
    advance(2_500);
    expect(state()).to.equal('draining');
    beat(true);
    advance(2_999);
    expect(state()).to.equal('draining');
    advance(1);
    expect(state()).to.equal('lost');
  });

  it('ends a joining that comes to nothing', () => {
    advance(2_999);
    expect(state()).to.equal('joining');
    advance(1);
    expect(state()).to.equal('lost');
  });

  it('does not matter to one that has said goodbye', () => {
    send('worker.joined', 'worker.draining', 'worker.left');
    advance(60_000);
    expect(state()).to.equal('gone');
  });

  it('is measured by the timings that the machine was given', () => {
    const quick = createActor(workerMachine, { input: { suspectAfterMs: 20, lostAfterMs: 50 }, clock }).start();
    quick.send({ type: 'worker.joined' });
    advance(20);
    expect(quick.getSnapshot().value).to.equal('suspect');
    advance(30);
    expect(quick.getSnapshot().value).to.equal('lost');
  });

  it('begins with the work that a worker brings along', () => {
    send('worker.assigned', 'worker.joined');
    expect(state()).to.equal('busy');
  });
});
