import { expect } from 'chai';
import { counted, Histogram, ProcessMetrics } from '../../bus/metrics.js';
import { processFamilies } from '../../bus/processFamilies.js';
import { exposition, merged } from '../../api/metrics/exposition.js';

describe('what a process counts', () => {
  it('counts a value in the range that it is the end of, and what is above all in the last one', () => {
    const histogram = new Histogram([1, 2, 4]);
    for (const value of [0, 1, 1.5, 2, 4, 4.1, 100]) histogram.observe(value);
    expect(histogram.counts).to.deep.equal([2, 2, 1, 2]);
    expect(histogram.count).to.equal(7);
    expect(histogram.sum).to.be.closeTo(112.6, 1e-9);
  });

  it('counts transitions that differ in one word apart, and passes each on to the log', () => {
    const { transitions } = new ProcessMetrics();
    const lines: unknown[][] = [];
    const log = counted((...line) => void lines.push(line), transitions);
    log('task', 'a', 'running', 'task.interrupted', 'queued', { worker: 'w' });
    log('task', 'b', 'running', 'task.interrupted', 'failed');
    log('task', 'c', 'running', 'task.interrupted', 'queued');
    log('worker', 'w', 'ready', 'heartbeat.missed', 'suspect');
    log('worker', 'w', 'busy', 'heartbeat.missed', 'suspect');
    expect([...transitions.all()].map(({ from, to, count }) => [from, to, count])).to.deep.equal([
      ['running', 'queued', 2],
      ['running', 'failed', 1],
      ['ready', 'suspect', 1],
      ['busy', 'suspect', 1],
    ]);
    expect(lines[0]).to.deep.equal(['task', 'a', 'running', 'task.interrupted', 'queued', { worker: 'w' }]);
    expect(lines).to.have.length(5);
  });

  it('costs well under a microsecond for each transition', () => {
    const { transitions } = new ProcessMetrics();
    const log = counted(() => undefined, transitions);
    const events = ['task.submitted', 'task.claimed', 'task.succeeded', 'task.raised'];
    const before = process.cpuUsage();
    for (let i = 0; i < 1_000_000; i++) log('task', 'a', 'running', events[i & 3] as string, 'completed');
    // Of this process, whoever else is on the machine: microseconds for a million.
    expect(process.cpuUsage(before).user).to.be.lessThan(500_000);
  });

  it('tells ends and failures from what it has counted', () => {
    const metrics = new ProcessMetrics();
    metrics.transitions.add('task', 'running', 'task.succeeded', 'completed');
    metrics.transitions.add('task', 'running', 'task.succeeded', 'completed');
    metrics.transitions.add('task', 'running', 'task.raised', 'failed');
    metrics.transitions.add('worker', 'busy', 'worker.lost', 'failed');
    metrics.failed('UserException');
    const text = exposition(processFamilies('dispatcher', metrics));
    expect(text).to.include('mpcsfaas_tasks_ended_total{state="completed"} 2\n');
    expect(text).to.include('mpcsfaas_tasks_ended_total{state="failed"} 1\n');
    expect(text).to.include('mpcsfaas_tasks_ended_total{state="cancelled"} 0\n');
    expect(text).to.include('mpcsfaas_task_failures_total{type="UserException"} 1\n');
    expect(text).to.include('mpcsfaas_task_failures_total{type="Timeout"} 0\n');
  });

  it('shows a histogram cumulated, with its sum and count', () => {
    const metrics = new ProcessMetrics();
    for (const tasks of [1, 3, 3, 1_000]) metrics.batches.submit.observe(tasks);
    const text = exposition(processFamilies('api', metrics));
    expect(text).to.include('# TYPE mpcsfaas_batch_tasks histogram\n');
    expect(text).to.include('mpcsfaas_batch_tasks_bucket{hop="submit",le="2"} 1\n');
    expect(text).to.include('mpcsfaas_batch_tasks_bucket{hop="submit",le="4"} 3\n');
    expect(text).to.include('mpcsfaas_batch_tasks_bucket{hop="submit",le="+Inf"} 4\n');
    expect(text).to.include('mpcsfaas_batch_tasks_sum{hop="submit"} 1007\n');
    expect(text).to.include('mpcsfaas_batch_tasks_count{hop="submit"} 4\n');
  });

  it('escapes what people name their workers, and has each name once', () => {
    const family = (instance: string) => ({
      name: 'mpcsfaas_up',
      help: 'Two\nlines\\',
      type: 'gauge' as const,
      samples: [{ suffix: '', labels: { instance }, value: 1 }],
    });
    const text = exposition(merged([[family('a"b\\c\nd')], [family('e')]]));
    expect(text).to.equal(
      '# HELP mpcsfaas_up Two\\nlines\\\\\n# TYPE mpcsfaas_up gauge\n' +
        'mpcsfaas_up{instance="a\\"b\\\\c\\nd"} 1\nmpcsfaas_up{instance="e"} 1\n',
    );
  });
});
