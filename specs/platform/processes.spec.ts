import { expect } from 'chai';
import { eventually } from '../support/eventually.js';
import { type SpecActor, type SpecPlatform, startPlatform } from '../support/platform.js';
import { titleOf } from '../support/processTable.js';
import { PythonClient } from '../support/python.js';
import { TaskClient } from '../support/taskClient.js';

interface LoggedTransition {
  time: unknown;
  machine: string;
  id: string;
  from: string;
  event: string;
  to: string;
}

function transitionsIn(actor: SpecActor): LoggedTransition[] {
  return actor
    .log()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LoggedTransition)
    .filter(({ machine }) => typeof machine === 'string');
}

const stepsOf = (transitions: LoggedTransition[]): string[] =>
  transitions.map(({ from, event, to }) => `${from} ${event} ${to}`);

describe('The processes of a platform', () => {
  let platform: SpecPlatform;
  let python: PythonClient;
  let taskId: string;

  before(async () => {
    python = new PythonClient();
    platform = await startPlatform();
    const client = new TaskClient(platform, python);
    taskId = await client.submitOne('def f(x):\n    return x', [1]);
    await client.result(taskId);
    // Log lines are written a moment later, and a worker is shown idle when it has been so for a moment: which may be before Redis has answered
    // the dispatcher, though its client has heard.
    const hasLogged = (actor: SpecActor, ...wanted: string[]) => {
      const logged = transitionsIn(actor).map(({ event }) => event);
      return wanted.every((event) => logged.includes(event));
    };
    await eventually(
      'all is logged',
      () =>
        hasLogged(platform.api, 'task.submitted') && hasLogged(platform.dispatcher, 'task.succeeded', 'worker.idled'),
    );
  });
  after(async () => {
    await platform.stop();
    await python.stop();
  });

  it('say what they are in their titles', () => {
    const { api, monitor, dispatcher, workers } = platform;
    for (const [kind, actor] of Object.entries({ api, monitor, dispatcher, worker: workers[0]! })) {
      expect(titleOf(actor.pid)).to.match(new RegExp(`^mpcsfaas ${kind} \\S+$`));
    }
  });

  it('log the transitions of a task where they happen', () => {
    const ofTask = (actor: SpecActor): string[] => stepsOf(transitionsIn(actor).filter(({ id }) => id === taskId));
    expect(ofTask(platform.api)).to.deep.equal(['new task.submitted queued']);
    expect(ofTask(platform.dispatcher)).to.deep.equal([
      'queued task.claimed running',
      'running task.succeeded completed',
    ]);
  });

  it('log the transitions of components and workers', () => {
    const { api, monitor, dispatcher, workers } = platform;
    for (const actor of [api, monitor, dispatcher, ...workers]) {
      const own = transitionsIn(actor).filter(({ machine }) => machine === 'component');
      expect(stepsOf(own)).to.deep.equal(['starting component.started running']);
      expect(own[0]).to.include.all.keys('time', 'machine', 'id', 'from', 'event', 'to');
    }
    const worker = transitionsIn(dispatcher).filter(({ machine }) => machine === 'worker');
    expect(stepsOf(worker).slice(0, 3)).to.deep.equal([
      'joining worker.joined ready',
      'ready worker.assigned busy',
      'busy worker.idled ready',
    ]);
  });

  it('are gone as soon as they have stopped: no forgotten timer keeps them', async () => {
    const { api, monitor, dispatcher, workers } = platform;
    for (const actor of [...workers, monitor, dispatcher, api]) {
      await actor.stop();
      const goneAtMs = Date.now();
      const stopped = transitionsIn(actor).find(({ to }) => to === 'stopped')!;
      expect(goneAtMs - Number(stopped.time), actor.name).to.be.lessThan(800);
    }
  });
});
