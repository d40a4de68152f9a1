import { expect } from 'chai';
import { takeBacks } from '../../actors/rebalance.js';
import { useHouse } from './support/house.js';
import { until } from '../store/support/until.js';

const PYPY = { pythonVersion: '3.9.16', pythonImplementation: 'pypy' };

describe('a dispatcher whose workers differ', () => {
  const house = useHouse();

  it('gives a task to the worker that has its labels', async () => {
    house().startDispatcher();
    const plain = await house().startWorker({ name: 'plain', slots: 4 });
    const gpu = await house().startWorker({ name: 'gpu', slots: 4, labels: ['gpu', 'eu'] });
    const labelled = await house().submit('echo', 20, { requirement: 'eu,gpu' });
    const others = await house().submit('echo', 20);
    await house().become('completed', [...labelled, ...others]);
    const onPlain = new Set(plain.pool.starts.map(({ taskId }) => taskId));
    expect(labelled.filter((taskId) => onPlain.has(taskId))).to.deep.equal([]);
    expect(gpu.pool.starts.length).to.be.at.least(20);
  });

  it('lets a task wait for the worker that can run it, which may join later', async () => {
    house().startDispatcher();
    const plain = await house().startWorker({ slots: 2 });
    const [task] = await house().submit('echo', 1, { requirement: 'gpu' });
    const others = await house().submit('echo', 5);
    await house().become('completed', others);
    expect(await house().states([task!])).to.deep.equal(['queued']);
    const gpu = await house().startWorker({ labels: ['gpu'] });
    await house().become('completed', [task!]);
    expect(gpu.pool.starts.map(({ taskId }) => taskId)).to.deep.equal([task]);
    expect(plain.pool.starts).to.have.length(5);
  });

  it('gives a task to a worker with the Python it needs', async () => {
    house().startDispatcher();
    const cpython = await house().startWorker();
    const pypy = await house().startWorker({ python: PYPY });
    const forPypy = await house().submit('echo', 5, { requirement: '@pypy-3.9' });
    const forCpython = await house().submit('echo', 5, { requirement: '@cpython-3.11' });
    await house().become('completed', [...forPypy, ...forCpython]);
    expect(pypy.pool.starts.map(({ taskId }) => taskId)).to.have.members(forPypy);
    expect(cpython.pool.starts.map(({ taskId }) => taskId)).to.have.members(forCpython);
  });

  it('claims no more of a kind than the workers of that kind can take, so that another dispatcher can', async () => {
    house().startDispatcher('one');
    house().startDispatcher('two');
    const first = await house().startWorker({ urls: ['one'], slots: 1, labels: ['gpu'] });
    await house().startWorker({ urls: ['one'], slots: 8 });
    const second = await house().startWorker({ urls: ['two'], slots: 1, labels: ['gpu'] });
    const tasks = await house().submit('hang', 3, { requirement: 'gpu' });
    await until(() => first.pool.starts.length === 1 && second.pool.starts.length === 1);
    expect((await house().states(tasks)).filter((state) => state === 'queued')).to.have.length(1);
    for (const worker of [first, second]) worker.pool.finish();
    await until(() => first.pool.starts.length + second.pool.starts.length === 3);
    for (const worker of [first, second]) worker.pool.finish();
    await house().become('completed', tasks);
  });

  it('runs a task again on a worker that can, when the one that had it is lost', async () => {
    house().startDispatcher();
    const lost = await house().startWorker({ labels: ['gpu'] });
    await house().startWorker();
    const [task] = await house().submit('hang', 1, { requirement: 'gpu' });
    await until(() => lost.pool.starts.length === 1);
    await lost.kill();
    const next = await house().startWorker({ labels: ['gpu'] });
    await until(() => next.pool.starts.length === 1);
    next.pool.finish();
    await house().become('completed', [task!]);
  });

  it('takes back from a busy worker only what one with free slots can run', () => {
    const worker = (labels: string[], slots: number, requirements: (string | undefined)[]) => ({
      ...{ slots, inFlight: requirements.length, inFlightBytes: 0, lastRunSentAtMs: 0, hasFunction: () => true },
      kind: labels.join(),
      capabilities: { labels, python: '' },
      inFlightTasks: new Map(
        requirements.map((requirement, index) => [`t${index}`, { taskId: `t${index}`, requirement }]),
      ),
    });
    const asked = (busy: ReturnType<typeof worker>, idle: ReturnType<typeof worker>) =>
      takeBacks([busy, idle], Infinity).map(({ limit, among }) => ({ limit, among }));
    const busy = worker(['gpu'], 1, ['gpu', '', 'gpu', '', undefined]);
    expect(asked(busy, worker([], 3, []))).to.deep.equal([{ limit: 2, among: ['t1', 't3'] }]);
    expect(asked(busy, worker(['gpu'], 3, []))).to.deep.equal([{ limit: 3, among: undefined }]);
    expect(asked(worker(['gpu'], 1, ['gpu', 'gpu']), worker([], 3, []))).to.deep.equal([]);
    expect(takeBacks([busy, worker([], 3, [])], -1)).to.deep.equal([]);
  });
});
