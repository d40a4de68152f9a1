import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { exceptionPickle } from '../../api/exceptionPickle.js';
import { pickleProblem } from '../../api/pickleCheck.js';
import { resultJson } from '../../api/resultJson.js';
import { FAILURE_TYPES } from '../../bus/messages.js';
import { PYTHON } from '../support/python.js';

const LOAD = `
import json, pickle, sys
loaded = [pickle.loads(bytes.fromhex(line)) for line in sys.stdin.read().split()]
print(json.dumps([[type(e).__module__ + "." + type(e).__name__, str(e), isinstance(e, BaseException)] for e in loaded]))
`;

/** Loads pickles in a Python with nothing but its standard library. */
function loadInPython(pickles: Buffer[]): [type: string, text: string, isException: boolean][] {
  const input = pickles.map((pickle) => pickle.toString('hex')).join('\n');
  const output = execFileSync(PYTHON, ['-S', '-c', LOAD], { input, encoding: 'utf8' });
  return JSON.parse(output) as [string, string, boolean][];
}

describe('pickles of exceptions for failures that the platform made', () => {
  it('load as standard-library exceptions whose text starts with the name of the failure', () => {
    const pickles = FAILURE_TYPES.map((type) => exceptionPickle({ type, message: `of ${type}` }));
    const loaded = loadInPython(pickles);
    const classes: Record<string, string> = {
      Timeout: 'builtins.TimeoutError',
      MemoryLimit: 'builtins.MemoryError',
      Cancelled: 'concurrent.futures._base.CancelledError',
    };
    FAILURE_TYPES.forEach((type, index) => {
      expect(loaded[index]).to.deep.equal([classes[type] ?? 'builtins.RuntimeError', `${type}: of ${type}`, true]);
    });
    for (const pickle of pickles) expect(pickleProblem(pickle)).to.equal(undefined);
  });

  it('keep any text', () => {
    const messages = ['', 'ünïcode ☃ 😀', 'line\nbreak \'"\\ .', 'x'.repeat(100_000)];
    const loaded = loadInPython(messages.map((message) => exceptionPickle({ type: 'WorkerFailure', message })));
    expect(loaded.map(([, text]) => text)).to.deep.equal(messages.map((message) => `WorkerFailure: ${message}`));
  });

  it('stand in results wherever there is nothing else, and only after the end', () => {
    const empty = { taskId: 't', payload: Buffer.alloc(0) };
    const failure = { type: 'Timeout', message: 'too slow' } as const;
    const result = (json: string): Buffer => Buffer.from((JSON.parse(json) as { result: string }).result, 'base64');
    const loaded = loadInPython([
      result(resultJson({ ...empty, state: 'failed', failure })),
      result(resultJson({ ...empty, state: 'cancelled' })),
      result(resultJson({ ...empty, state: 'failed' })),
    ]);
    expect(loaded.map(([type]) => type)).to.deep.equal([
      'builtins.TimeoutError',
      'concurrent.futures._base.CancelledError',
      'builtins.RuntimeError',
    ]);
    expect(result(resultJson({ ...empty, state: 'retrying', failure })).length).to.equal(0);
    expect(result(resultJson({ ...empty, state: 'completed' })).length).to.equal(0);
  });
});
