import { expect } from 'chai';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { MsgpackError, readMsgpack } from '../../api/msgpackReader.js';

describe('reading MessagePack', () => {
  const packr = new Packr({ useRecords: false });
  const encode = (value: unknown) => Buffer.from(packr.pack(value));

  it('reads what others write', () => {
    const leaf = fc.oneof(
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }).filter((one) => !Object.is(one, -0)),
      fc.boolean(),
      fc.constant(null),
      fc.string({ unit: 'grapheme', maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    );
    const key = fc.string().filter((text) => text !== '__proto__');
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.array(tie('any')),
        fc.dictionary(key, tie('any'), { noNullPrototype: true }),
      ),
    })).any;
    fc.assert(fc.property(value, (one) => void expect(readMsgpack(encode(one))).to.deep.equal(one)));
    const large = { list: Array(70_000).fill(1), bytes: Buffer.alloc(70_000), text: 'x'.repeat(70_000) };
    expect(readMsgpack(encode(large))).to.deep.equal(large);
    for (const number of [127, 128, 255, 256, 65_535, 65_536, 2 ** 32, -32, -33, -129, -40_000, 2 ** 50, -(2 ** 50)]) {
      expect(readMsgpack(encode(number))).to.equal(number);
    }
  });

  it('refuses all else with words, and nothing makes it throw anything else', () => {
    const damaged = fc
      .tuple(fc.uint8Array({ minLength: 1, maxLength: 60 }), fc.boolean())
      .map(([bytes, good]) => (good ? encode([...bytes]).subarray(0, bytes.length) : Buffer.from(bytes)));
    fc.assert(
      fc.property(damaged, (bytes) => {
        try {
          readMsgpack(bytes);
        } catch (error) {
          expect(error).to.be.instanceOf(MsgpackError);
        }
      }),
      { numRuns: 2000 },
    );
    for (const hex of [
      'd4720000',
      'c1',
      'c70100aa',
      '81a95f5f70726f746f5f5f01',
      '810101',
      '91'.repeat(100) + 'c0',
      'c6ffffffff00',
    ]) {
      expect(() => readMsgpack(Buffer.from(hex, 'hex')), hex).to.throw(MsgpackError);
    }
  });
});
