import { expect } from 'chai';
import { componentMachine } from '../../actors/lifecycles/componentMachine.js';
import { runMachine } from '../../actors/lifecycles/runMachine.js';
import { workerMachine } from '../../actors/lifecycles/workerMachine.js';
import type { LogFormat, LogLevel } from '../../bus/config.js';
import { openLog } from '../../bus/log.js';
import type { LogLines } from '../../bus/logLines.js';
import type { TransitionLog } from '../../bus/transitionLog.js';
import { ManualClock } from './support/manualClock.js';
import { recordTransitions } from './support/transitions.js';

const TIMINGS = { suspectAfterMs: 2_000, lostAfterMs: 3_000 };

describe('a running machine', () => {
  it('logs one line for each change of state', () => {
    const { log, lines, story } = recordTransitions();
    const clock = new ManualClock();
    const worker = runMachine(workerMachine, { machine: 'worker', id: 'w1', transition: log, clock }, TIMINGS);
    worker.send({ type: 'worker.joined' });
    worker.send({ type: 'worker.assigned' });
    worker.send({ type: 'worker.beat', hasWork: true });
    worker.send({ type: 'worker.beat', hasWork: true });
    worker.send({ type: 'worker.beat', hasWork: false });
    worker.send({ type: 'worker.beat', hasWork: false });
    clock.advance(2_000);
    clock.advance(1_000);
    expect(story()).to.deep.equal([
      'joining -> ready (worker.joined)',
      'ready -> busy (worker.assigned)',
      'busy -> ready (worker.beat)',
      'ready -> suspect (heartbeat.missed)',
      'suspect -> lost (heartbeat.missed)',
    ]);
    expect(lines.every(({ machine, id }) => machine === 'worker' && id === 'w1')).to.equal(true);
  });

  it('is silent about what changes nothing, and after its end', () => {
    const { log, lines } = recordTransitions();
    const worker = runMachine(
      workerMachine,
      { machine: 'worker', id: 'w', transition: log, clock: new ManualClock() },
      TIMINGS,
    );
    worker.send({ type: 'worker.idled' });
    worker.send({ type: 'worker.draining' });
    worker.send({ type: 'worker.assigned' });
    expect(lines).to.have.length(0);
    worker.send({ type: 'worker.left' });
    worker.send({ type: 'worker.joined' });
    worker.send({ type: 'worker.lost' });
    expect(lines).to.have.length(1);
  });

  it('adds what explains the transition, asked for only then', () => {
    const { log, lines } = recordTransitions();
    let asked = 0;
    const options = {
      machine: 'component' as const,
      id: 'api-1',
      transition: log,
      clock: new ManualClock(),
      details: () => ({ asked: ++asked }),
    };
    const component = runMachine(componentMachine, options);
    component.send({ type: 'dependency.restored', dependency: 'nats' });
    component.send({ type: 'component.started' });
    component.send({ type: 'dependency.lost', dependency: 'nats' });
    component.send({ type: 'dependency.lost', dependency: 'redis' });
    component.send({ type: 'dependency.restored', dependency: 'nats' });
    component.send({ type: 'dependency.restored', dependency: 'redis' });
    expect(lines.map(({ to, details }) => [to, details?.['asked']])).to.deep.equal([
      ['running', 1],
      ['degraded', 2],
      ['running', 3],
    ]);
  });

  it('keeps two machines apart', () => {
    const { log, lines } = recordTransitions();
    const clock = new ManualClock();
    const [one, two] = ['one', 'two'].map((id) =>
      runMachine(workerMachine, { machine: 'worker', id, transition: log, clock }, TIMINGS),
    );
    two!.send({ type: 'worker.joined' });
    one!.send({ type: 'worker.left' });
    expect(lines.map(({ id, to }) => [id, to])).to.deep.equal([
      ['two', 'ready'],
      ['one', 'gone'],
    ]);
  });
});

describe('the transition log', () => {
  const written: string[] = [];
  const lines: LogLines = {
    write: (line) => written.push(line),
    hurry: () => undefined,
    flush: () => Promise.resolve(),
  };
  const open = (level: LogLevel, format: LogFormat): TransitionLog =>
    openLog({ level, format, colour: false, base: { actor: 'dispatcher' } }, lines).transition;

  beforeEach(() => written.splice(0));

  it('writes one line of JSON with time, machine, id, from, event, to and what explains it, at level info', () => {
    const details = { worker: 'a "quoted" name', attempt: 2, reason: undefined };
    open('info', 'json')('task', 't1', 'queued', 'task.claimed', 'running', details);
    expect(written).to.have.length(1);
    const { time, ...line } = JSON.parse(written[0]!) as Record<string, unknown>;
    expect(line).to.deep.equal({
      ...{ level: 30, actor: 'dispatcher', machine: 'task', id: 't1' },
      ...{ from: 'queued', event: 'task.claimed', to: 'running', worker: 'a "quoted" name', attempt: 2 },
    });
    expect(time).to.be.closeTo(Date.now(), 5_000);
  });

  it('writes one line for people, led by the time', () => {
    open('info', 'pretty')('task', 't1', 'queued', 'task.claimed', 'running', { worker: 'w1', attempt: 2 });
    expect(written.join('')).to.match(
      /^\d\d:\d\d:\d\d\.\d{3} info {2}task t1 queued -> running \(task\.claimed\) worker=w1 attempt=2\n$/,
    );
  });

  it('costs nothing where nobody reads it', () => {
    open('warn', 'json')('task', 't1', 'queued', 'task.claimed', 'running');
    expect(written).to.have.length(0);
  });
});

describe('log lines', () => {
  it('leave at once from level warn on, with those before them', () => {
    const hurried: string[] = [];
    const gathered: string[] = [];
    const lines: LogLines = {
      write: (line) => gathered.push(line),
      hurry: () => hurried.push(...gathered.splice(0)),
      flush: () => Promise.resolve(),
    };
    const { log } = openLog({ level: 'info', format: 'json', colour: false, base: {} }, lines);
    log.info('one');
    expect(hurried).to.have.length(0);
    log.warn('two');
    expect(hurried.map((line) => (JSON.parse(line) as { msg: string }).msg)).to.deep.equal(['one', 'two']);
  });
});
