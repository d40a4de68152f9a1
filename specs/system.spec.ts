import { expect } from 'chai';
import type { Clock } from '../actors/clock.js';
import { type Child, type ChildSpec, System, type SystemEvent } from '../actors/system.js';

const POLICY = { maxRestarts: 3, periodMs: 10_000, firstDelayMs: 100, maxDelayMs: 300 };

/** Time that moves only when told to. */
class ManualClock implements Clock {
  #nowMs = 0;
  #timers: { atMs: number; action: () => void }[] = [];

  now(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  setTimeout(action: () => void, delayMs: number): unknown {
    const timer = { atMs: this.#nowMs + delayMs, action };
    this.#timers.push(timer);
    return timer;
  }

  clearTimeout(timer: unknown): void {
    this.#timers = this.#timers.filter((other) => other !== timer);
  }

  get pending(): number {
    return this.#timers.length;
  }

  async advance(byMs: number): Promise<void> {
    this.#nowMs += byMs;
    const due = this.#timers.filter((timer) => timer.atMs <= this.#nowMs);
    this.#timers = this.#timers.filter((timer) => timer.atMs > this.#nowMs);
    for (const timer of due) timer.action();
    await settled();
  }
}

/** Lets every promise that can go on do so. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A child that exists only as a journal of what the system did to it. */
class FakeChild {
  starts = 0;
  failNextStarts = 0;
  onStop: () => Promise<void> = () => Promise.resolve();
  #exit: (how: string) => void = () => undefined;

  constructor(
    readonly name: string,
    readonly journal: string[],
  ) {}

  crash(how = 'SIGKILL'): Promise<void> {
    this.#exit(how);
    return settled();
  }

  spec(restart: ChildSpec['restart'] = 'permanent'): ChildSpec {
    return { name: this.name, restart, start: () => this.#start() };
  }

  #start(): Promise<Child> {
    this.starts++;
    this.journal.push(`start ${this.name}`);
    if (this.failNextStarts > 0) {
      this.failNextStarts--;
      return Promise.reject(new Error(`${this.name} cannot start.`));
    }
    const exited = new Promise<string>((resolve) => (this.#exit = resolve));
    const stop = async (): Promise<void> => {
      this.journal.push(`stop ${this.name}`);
      await this.onStop();
      this.#exit('exit code 0');
    };
    return Promise.resolve({ exited, stop });
  }
}

describe('The actor system', () => {
  let journal: string[];
  let events: SystemEvent[];
  let clock: ManualClock;
  let a: FakeChild, b: FakeChild, c: FakeChild;

  const systemOf = (...stages: ChildSpec[][]): System =>
    new System({ stages, clock, policy: POLICY, stopTimeoutMs: 5000, onEvent: (event) => events.push(event) });

  beforeEach(() => {
    journal = [];
    events = [];
    clock = new ManualClock();
    [a, b, c] = [new FakeChild('a', journal), new FakeChild('b', journal), new FakeChild('c', journal)];
  });

  it('starts in order and stops in reverse', async () => {
    const system = systemOf([a.spec()], [b.spec()], [c.spec()]);
    expect(await system.start()).to.equal(true);
    expect(system.state).to.equal('running');
    await system.stop();
    expect(journal).to.deep.equal(['start a', 'start b', 'start c', 'stop c', 'stop b', 'stop a']);
    expect(await system.ended).to.deep.equal({ type: 'stopped' });
    expect(clock.pending).to.equal(0);
  });

  it('starts a stage only when the one before it serves', async () => {
    let serve!: (child: Child) => void;
    const slow: ChildSpec = {
      name: 'slow',
      restart: 'permanent',
      start: () => new Promise((resolve) => (serve = resolve)),
    };
    const system = systemOf([slow, a.spec()], [b.spec()]);
    const started = system.start();
    await settled();
    expect(journal).to.deep.equal(['start a']);
    serve({ exited: new Promise(() => undefined), stop: () => Promise.resolve() });
    await started;
    expect(journal).to.deep.equal(['start a', 'start b']);
    await system.stop();
  });

  it('stops what had started when a child cannot start, and says why', async () => {
    b.failNextStarts = 1;
    const system = systemOf([a.spec()], [b.spec()], [c.spec()]);
    expect(await system.start()).to.equal(false);
    expect(journal).to.deep.equal(['start a', 'start b', 'stop a']);
    expect(await system.ended).to.deep.equal({ type: 'failed', message: 'b cannot start.' });
  });

  it('starts a transient child again when it crashes, not when it has left in order', async () => {
    const system = systemOf([a.spec('transient')], [b.spec('transient')]);
    await system.start();
    await a.crash('SIGKILL');
    await b.crash('exit code 0');
    await clock.advance(POLICY.firstDelayMs);
    expect([a.starts, b.starts]).to.deep.equal([2, 1]);
    expect(events).to.deep.include({ type: 'childLeft', child: 'b' });
    expect(events).not.to.deep.include({ type: 'childExited', child: 'b', how: 'exit code 0' });
    expect(system.state).to.equal('running');
    await system.stop();
    expect(journal.slice(-1)).to.deep.equal(['stop a']);
  });

  it('stops once however often it is asked to', async () => {
    const system = systemOf([a.spec()]);
    await system.start();
    await Promise.all([system.stop(), system.stop()]);
    await system.stop();
    expect(journal).to.deep.equal(['start a', 'stop a']);
  });

  it('goes on past a step of stopping that fails', async () => {
    b.onStop = () => Promise.reject(new Error('will not go'));
    const system = systemOf([a.spec()], [b.spec()]);
    await system.start();
    await system.stop();
    expect(journal.slice(-2)).to.deep.equal(['stop b', 'stop a']);
    expect(events).to.deep.include({ type: 'stopFailed', child: 'b', why: 'will not go' });
  });

  it('goes on past a child that never stops', async () => {
    b.onStop = () => new Promise(() => undefined);
    const system = systemOf([a.spec()], [b.spec()]);
    await system.start();
    const stopped = system.stop();
    await settled();
    expect(journal.at(-1)).to.equal('stop b');
    await clock.advance(5000);
    await stopped;
    expect(journal.at(-1)).to.equal('stop a');
  });

  it('stops a child whose start was under way when the system was stopped', async () => {
    let stopped = false;
    const slow: ChildSpec = {
      name: 'slow',
      restart: 'permanent',
      start: (signal) =>
        new Promise((resolve) => {
          const child = {
            exited: new Promise<string>(() => undefined),
            stop: () => Promise.resolve(void (stopped = true)),
          };
          signal.addEventListener('abort', () => {
            resolve(child);
          });
        }),
    };
    const system = systemOf([a.spec()], [slow], [c.spec()]);
    const started = system.start();
    await settled();
    await system.stop();
    expect(await started).to.equal(false);
    expect(stopped).to.equal(true);
    expect(journal).to.deep.equal(['start a', 'stop a']);
  });

  it('restarts only the permanent child that ended, after a pause that doubles', async () => {
    const system = systemOf([a.spec()], [b.spec()]);
    await system.start();
    await b.crash();
    await clock.advance(99);
    expect(b.starts).to.equal(1);
    await clock.advance(1);
    expect(b.starts).to.equal(2);
    await b.crash();
    await clock.advance(199);
    expect(b.starts).to.equal(2);
    await clock.advance(1);
    expect(b.starts).to.equal(3);
    expect(a.starts).to.equal(1);
    expect(system.state).to.equal('running');
    await system.stop();
  });

  it('leaves a temporary child ended', async () => {
    const system = systemOf([a.spec('temporary')]);
    await system.start();
    await a.crash('exit code 1');
    await clock.advance(60_000);
    expect(a.starts).to.equal(1);
    expect(events.at(-1)).to.deep.equal({ type: 'childExited', child: 'a', how: 'exit code 1' });
    await system.stop();
    expect(journal).to.deep.equal(['start a']);
  });

  it('counts a restart that fails as another end, and tries again', async () => {
    const system = systemOf([a.spec()]);
    await system.start();
    a.failNextStarts = 1;
    await a.crash();
    await clock.advance(100);
    expect(a.starts).to.equal(2);
    await clock.advance(200);
    expect(a.starts).to.equal(3);
    await a.crash();
    await clock.advance(300);
    expect(a.starts).to.equal(4);
    await system.stop();
    expect(journal.at(-1)).to.equal('stop a');
  });

  it('gives up, in one sentence, beyond its intensity', async () => {
    const system = systemOf([a.spec()], [b.spec()]);
    await system.start();
    for (let crash = 0; crash < 3; crash++) {
      await b.crash();
      await clock.advance(POLICY.maxDelayMs);
    }
    await b.crash('exit code 1');
    expect(await system.ended).to.deep.equal({
      type: 'failed',
      message: 'b keeps failing (more than 3 restarts in 10 s); the last time: exit code 1',
    });
    expect(journal.at(-1)).to.equal('stop a');
  });

  it('forgets restarts older than its period', async () => {
    const system = systemOf([a.spec()]);
    await system.start();
    for (let crash = 0; crash < 8; crash++) {
      await a.crash();
      await clock.advance(POLICY.firstDelayMs);
      await clock.advance(POLICY.periodMs);
    }
    expect(a.starts).to.equal(9);
    expect(system.state).to.equal('running');
    await system.stop();
  });

  it('does not start a child again once it is stopping', async () => {
    const system = systemOf([a.spec()]);
    await system.start();
    await a.crash();
    await system.stop();
    await clock.advance(60_000);
    expect(a.starts).to.equal(1);
    expect(clock.pending).to.equal(0);
  });
});
