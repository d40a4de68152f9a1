import { expect } from 'chai';
import fc from 'fast-check';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { pickleProblem } from '../../api/pickleCheck.js';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { PYTHON } from '../support/python.js';

interface Sample {
  kind: 'real' | 'damaged';
  bytes: Buffer;
  /** What Python's pickletools says of it. */
  accepted: boolean;
}

const SEED = '20260101';
const DAMAGED_SAMPLES = '4000';
/** Where this check is stricter than pickletools, which lets such a pickle pass and leaves the trouble to the unpickler. */
const STRICTER = /absurd memo index|unknown protocol|announces \d+ bytes|has a line that is not|persistent id/;

describe('the walk over pickle opcodes', () => {
  let samples: Sample[];
  before(function () {
    this.timeout(60_000);
    const script = join(PACKAGE_ROOT, 'specs', 'api', 'support', 'pickleCorpus.py');
    const options = { encoding: 'utf8', maxBuffer: 512 * 1024 * 1024 } as const;
    const lines = execFileSync(PYTHON, [script, SEED, DAMAGED_SAMPLES], options).trimEnd().split('\n');
    samples = lines.map((line) => {
      const { kind, base64, accepted } = JSON.parse(line) as {
        kind: Sample['kind'];
        base64: string;
        accepted: boolean;
      };
      return { kind, bytes: Buffer.from(base64, 'base64'), accepted };
    });
  });

  it('accepts every pickle that Python makes, in all protocols', () => {
    const real = samples.filter(({ kind }) => kind === 'real');
    expect(real.length).to.be.greaterThan(1000);
    for (const { bytes } of real) {
      // Persistent ids of protocol 0 are nothing that a client of ours writes.
      if (pickleProblem(bytes, true)?.includes('persistent id')) continue;
      expect(pickleProblem(bytes, true), bytes.subarray(0, 200).toString('latin1')).to.equal(undefined);
    }
  });

  it('refuses every one of them cut short or with something after it', () => {
    for (const { kind, bytes } of samples) {
      if (kind !== 'real' || bytes.length > 500 || pickleProblem(bytes, true) !== undefined) continue;
      for (let length = 0; length < bytes.length; length++) {
        expect(pickleProblem(bytes.subarray(0, length)), `${bytes.toString('hex')} cut to ${length}`).to.be.a('string');
      }
      expect(pickleProblem(Buffer.concat([bytes, Buffer.from('.')]), true)).to.contain('after its STOP opcode');
    }
  });

  it('accepts what pickletools accepts of damaged pickles, absurd numbers aside', () => {
    const damaged = samples.filter(({ kind }) => kind === 'damaged');
    let accepted = 0;
    for (const { bytes, accepted: byPython } of damaged) {
      const problem = pickleProblem(bytes, true);
      if (byPython && !STRICTER.test(problem ?? '')) expect(problem, bytes.toString('hex')).to.equal(undefined);
      if (problem === undefined) accepted++;
    }
    expect(accepted)
      .to.be.greaterThan(100)
      .and.lessThan(damaged.length / 2);
  });

  it('lets arguments alone refer to values of other tasks, and nobody to anything by a line of text', () => {
    const reference = Buffer.from('\x80\x05\x8c\x0cmpcsfaas.task\x8c\x01a\x86Q.', 'latin1');
    reference[3] = 'mpcsfaas.task'.length;
    expect(pickleProblem(reference, true)).to.equal(undefined);
    expect(pickleProblem(reference)).to.contain('there is no `depends_on`');
    expect(pickleProblem(Buffer.from('Pid\n.'), true)).to.contain('persistent id of protocol 0');
  });

  it('answers for any bytes, without throwing', () => {
    const opcodes = fc.constantFrom(
      ...'IJKMLFGNSTUBCVX]ael)t}dsu0(12pqrghjcRbioPQ.'.split('').map((c) => c.charCodeAt(0)),
    );
    const byte = fc.oneof(fc.nat({ max: 255 }), opcodes, fc.constantFrom(0, 10, 0x80, 0x95, 0x94, 0x8c, 0x93));
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 200 }), (bytes) => {
        const problem = pickleProblem(Buffer.from(bytes));
        return problem === undefined ? bytes.at(-1) === 0x2e : problem.length > 0;
      }),
      { numRuns: 20_000 },
    );
  });

  const costly: [name: string, opcode: Buffer][] = [
    ['marks', Buffer.from('(')],
    ['nothing but None', Buffer.from('N')],
    ['memo writes', Buffer.from('N\x94', 'latin1')],
    ['empty lines', Buffer.from('S\n')],
    ['a line of digits', Buffer.from('1')],
    ['frames without content', Buffer.from('9500000000000000 00'.replace(' ', ''), 'hex')],
  ];
  for (const [name, opcode] of costly) {
    it(`takes time in proportion to the length: ${name}`, () => {
      const [small, large] = [1, 16].map((factor) => {
        const bytes = Buffer.alloc(factor * 128 * 1024, opcode);
        if (name === 'a line of digits') bytes[0] = 'F'.charCodeAt(0);
        return fastest(() => pickleProblem(bytes));
      });
      // 16 times the bytes: quadratic would be 256 times the time.
      expect(large! / Math.max(small!, 0.2)).to.be.lessThan(80);
    });
  }

  it('steps over long strings', () => {
    const head = Buffer.from([0x80, 0x04, 0x42, 0, 0, 0, 0]);
    head.writeUInt32LE(32 * 1024 * 1024, 3);
    const bytes = Buffer.concat([head, Buffer.alloc(32 * 1024 * 1024), Buffer.from('.')]);
    expect(fastest(() => expect(pickleProblem(bytes)).to.equal(undefined))).to.be.lessThan(1);
  });

  function fastest(run: () => unknown): number {
    const times = Array.from({ length: 5 }, () => {
      const startMs = performance.now();
      run();
      return performance.now() - startMs;
    });
    return Math.min(...times);
  }
});
