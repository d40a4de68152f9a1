import { expect } from 'chai';
import { type CollectedSpan, type OtlpCollector, startCollector } from '../support/otlpCollector.js';
import { eventually, eventuallyPasses } from '../support/eventually.js';
import { Gate, HOLD } from '../support/gate.js';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { PythonClient } from '../support/python.js';
import { TaskClient } from '../support/taskClient.js';

const CLIENT_TRACE = '0af7651916cd43dd8448eb211c80319c';
const CLIENT_SPAN = 'b7ad6b7169203331';
const TELL = `
def f(*args):
    import os, subprocess, sys
    from mpcsfaas.on_worker import traceparent
    asked = subprocess.run([sys.executable, '-c', 'import os; print(os.environ.get("TRACEPARENT"))'], capture_output=True)
    return [traceparent(), os.environ.get('TRACEPARENT'), asked.stdout.decode().strip()]
`;

describe('traces', function () {
  this.timeout(60_000);
  let collector: OtlpCollector;
  let platform: SpecPlatform;
  let python: PythonClient;
  let client: TaskClient;

  before(async () => {
    collector = await startCollector();
    platform = await startPlatform({ slots: 1, env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } });
    python = new PythonClient();
    client = new TaskClient(platform, python);
  });
  after(async () => {
    await python.stop();
    await platform.stop();
    await collector.stop();
  });

  const execute = async (source: string, args: unknown[], traceparent?: string, options = {}): Promise<string> => {
    const body = {
      function_id: await client.register(source),
      payload: await python.pickleArguments(args),
      ...options,
    };
    const response = await fetch(`${platform.apiUrl}/execute_function`, {
      method: 'POST',
      headers: {
        ...{ connection: 'close', 'content-type': 'application/json' },
        ...(traceparent !== undefined && { traceparent }),
      },
      body: JSON.stringify(body),
    });
    expect(response.status).to.equal(200);
    return ((await response.json()) as { task_id: string }).task_id;
  };
  const spansOf = (taskId: string): CollectedSpan[] =>
    collector.spans.filter(({ attributes }) => attributes['mpcsfaas.task.id'] === taskId);
  const wholeTrace = async (taskId: string): Promise<Record<string, CollectedSpan>> => {
    let byName: Record<string, CollectedSpan> = {};
    await eventuallyPasses(() => {
      byName = Object.fromEntries(spansOf(taskId).map((span) => [span.name, span]));
      const request = collector.spans.find(({ spanId }) => spanId === byName['task']?.parentSpanId);
      expect(request, 'the span of the request').to.not.equal(undefined);
      byName['request'] = request!;
    });
    return byName;
  };

  it("go from the client's span through request, queue, dispatch and run, which the function is told of", async () => {
    const taskId = await execute(TELL, [], `00-${CLIENT_TRACE}-${CLIENT_SPAN}-01`);
    const { repr } = await client.result(taskId);
    const trace = await wholeTrace(taskId);
    const { request, task, queue, dispatch, run, settle } = trace;
    for (const span of Object.values(trace)) expect(span.traceId, span.name).to.equal(CLIENT_TRACE);
    expect(request!.name).to.equal('POST /execute_function');
    expect(request!.parentSpanId).to.equal(CLIENT_SPAN);
    expect(request!.component).to.equal('api');
    expect(request!.attributes['http.response.status_code']).to.equal(200);
    for (const span of [queue, dispatch, run, settle]) {
      expect(span!.parentSpanId).to.equal(task!.spanId);
      expect(span!.component).to.equal('dispatcher');
      expect(span!.status).to.equal(0);
    }
    expect(new Set(Object.values(trace).map(({ spanId }) => spanId)).size).to.equal(6);
    const told = `00-${CLIENT_TRACE}-${run!.spanId}-01`;
    expect(repr).to.equal(`['${told}', '${told}', '${told}']`);
    expect(queue!.endMs).to.equal(dispatch!.startMs);
    expect(run!.startMs).to.be.at.least(dispatch!.startMs - 5);
    expect(settle!.startMs).to.be.closeTo(run!.endMs, 0.01);
    expect(task!.startMs).to.be.closeTo(queue!.startMs, 0.01);
    expect(task!.endMs).to.be.at.least(run!.endMs - 5);
    expect(task!.attributes).to.include({ 'mpcsfaas.task.state': 'completed', 'mpcsfaas.attempt': 1 });
  });

  it('have a span for each attempt, and say what went wrong without words of the user', async () => {
    const source = 'def f(secret):\n    raise KeyError(secret)';
    const retry = { max_retries: 1, backoff_s: 0.05, jitter: 0 };
    const taskId = await execute(source, ['hunter2-of-the-trace'], undefined, { retry });
    await client.result(taskId);
    const { task } = await wholeTrace(taskId);
    const runs = spansOf(taskId).filter(({ name }) => name === 'run');
    expect(runs.map(({ attributes }) => attributes['mpcsfaas.attempt'])).to.deep.equal([1, 2]);
    for (const span of [...runs, task!]) {
      expect(span.status).to.equal(2);
      expect(span.attributes['error.type']).to.equal('KeyError');
    }
    expect(collector.text()).to.not.include('hunter2');
  });

  it('have all tasks of a request, also with values of others', async () => {
    const [one] = await client.submit('def f(n):\n    return n', [[5]]);
    const two = await execute(TELL, [], undefined, { depends_on: [one] });
    const told = (await client.result(two)).repr;
    const { run, queue } = await wholeTrace(two);
    expect(told).to.include(run!.spanId);
    expect(queue, 'it was blocked').to.equal(undefined);
    const many = await client.submit('def f(n):\n    return n', [[1], [2], [3]]);
    await client.results(many);
    const traces = await Promise.all(many.map((id) => wholeTrace(id)));
    expect(new Set(traces.map(({ request }) => request!.spanId)).size).to.equal(1);
    expect(new Set(traces.map(({ task }) => task!.spanId)).size).to.equal(3);
  });

  it('are not made where the client says so, and nothing is left in the environment of later tasks', async () => {
    const taskId = await execute(TELL, [], `00-${CLIENT_TRACE}-${CLIENT_SPAN}-00`);
    expect((await client.result(taskId)).repr).to.equal("[None, None, 'None']");
    const fields = await platform.call('GET', `/tasks/${taskId}`);
    expect(JSON.stringify(fields.body)).to.not.include(CLIENT_TRACE);
    const later = await execute(TELL, [], `00-${CLIENT_TRACE}-${CLIENT_SPAN}-01`);
    await client.result(later);
    await wholeTrace(later);
    expect(spansOf(taskId)).to.deep.equal([]);
  });

  it('of a cancelled task end with it, and name the request that did it', async () => {
    const gate = new Gate();
    const taskId = await execute(HOLD, [gate.path], `00-${CLIENT_TRACE}-${CLIENT_SPAN}-01`);
    await eventually('it runs', async () => (await client.status(taskId)) === 'RUNNING');
    await client.cancel(taskId);
    const { task } = await wholeTrace(taskId);
    gate.remove();
    expect(task!.traceId).to.equal(CLIENT_TRACE);
    expect(task!.attributes['mpcsfaas.task.state']).to.equal('cancelled');
    expect(task!.endMs).to.be.greaterThan(task!.startMs);
    await eventuallyPasses(() => {
      const by = collector.spans.find(({ spanId }) => spanId === task!.links?.[0]?.spanId);
      expect(by?.name).to.equal('POST /tasks/:task_id/cancel');
    });
  });

  it('of what is run again are new ones, linked to those of before', async () => {
    const source = 'def f(n):\n    raise KeyError(n)';
    const before = await execute(source, [1], `00-${CLIENT_TRACE}-${CLIENT_SPAN}-01`);
    await client.result(before);
    const { task: old } = await wholeTrace(before);
    const again = await platform.call('POST', `/tasks/${before}/run_again`);
    await client.result((again.body as { task_id: string }).task_id);
    const many = await platform.call('POST', '/tasks/run_again', { function: await client.register(source) });
    const newIds = [(again.body as { task_id: string }).task_id, ...(many.body as { task_ids: string[] }).task_ids];
    expect(newIds).to.have.length(2);
    await client.results(newIds);
    for (const taskId of newIds) {
      const { task, request } = await wholeTrace(taskId);
      expect(task!.traceId).to.not.equal(CLIENT_TRACE);
      expect(request!.name).to.be.oneOf(['POST /tasks/:task_id/run_again', 'POST /tasks/run_again']);
    }
    const { request } = await wholeTrace(newIds[0]!);
    const [link] = request!.links!;
    expect(link).to.include({ traceId: CLIENT_TRACE, spanId: old!.spanId });
  });

  it('go on, and hold nobody up, while the collector is away', async () => {
    await collector.stop();
    const ids = await client.submit('def f(n):\n    return n', [[1], [2]]);
    expect((await client.results(ids)).map(({ repr }) => repr)).to.deep.equal(['1', '2']);
  });
});

describe('a platform that does not trace', function () {
  this.timeout(60_000);

  it("does not keep the client's context, and tells functions of none", async () => {
    const platform = await startPlatform({ slots: 1 });
    const python = new PythonClient();
    try {
      const client = new TaskClient(platform, python);
      const function_id = await client.register(TELL);
      const response = await fetch(`${platform.apiUrl}/execute_function`, {
        method: 'POST',
        headers: {
          ...{ connection: 'close', 'content-type': 'application/json' },
          traceparent: `00-${CLIENT_TRACE}-${CLIENT_SPAN}-01`,
        },
        body: JSON.stringify({ function_id, payload: await python.pickleArguments([]) }),
      });
      const { task_id } = (await response.json()) as { task_id: string };
      expect((await client.result(task_id)).repr).to.equal("[None, None, 'None']");
    } finally {
      await python.stop();
      await platform.stop();
    }
  });
});
