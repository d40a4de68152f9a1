import { expect } from 'chai';
import fc, { type Arbitrary } from 'fast-check';
import { type Codec, dispatcherCodec, workerCodec } from '../../bus/codec.js';
import { decodeControl, encodeControl } from '../../bus/controlCodec.js';
import { pack, packPieces, unpack } from '../../bus/packing.js';
import { controlMessage, dispatcherMessage, mutated, workerMessage } from './support/arbitraries.js';
import { result } from './support/wire.js';

const RUNS = { numRuns: 1_500 };
const noise = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));

/** Frames that have broken decoders before: lengths without end, nesting without end, msgpack's extensions. */
const NASTY: Record<string, Buffer> = {
  'an array of 2^32 - 1': Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]),
  'an array of 2^32 - 1 in a message': Buffer.from([0x91, 0xdd, 0xff, 0xff, 0xff, 0xff, 0x01]),
  'a map of 2^32 - 1': Buffer.from([0xdf, 0xff, 0xff, 0xff, 0xff]),
  'a text of 4 GiB': Buffer.from([0x91, 0xdb, 0xff, 0xff, 0xff, 0xff, 0x61]),
  'bytes of 4 GiB': Buffer.from([0x91, 0xc6, 0xff, 0xff, 0xff, 0xff, 0x00]),
  'an extension of 4 GiB': Buffer.from([0xc9, 0xff, 0xff, 0xff, 0xff, 0x72]),
  '100,000 nested arrays': Buffer.alloc(100_000, 0x91),
  '100,000 nested maps': Buffer.concat(Array.from({ length: 100_000 }, () => Buffer.from([0x81, 0xa1, 0x61]))),
  'a definition of a record': Buffer.from([0xd4, 0x72, 0x40, 0x92, 0xa1, 0x61, 0xa1, 0x62, 0x01, 0x02]),
  'a use of a record that is not defined': Buffer.from([0x91, 0x91, 0x41, 0x01]),
  'a pointer into nothing': Buffer.from([0x91, 0xd6, 0x70, 0, 0, 0, 9]),
  'a regular expression': Buffer.concat([Buffer.from([0x91, 0xc7, 0x04, 0x78]), Buffer.from([0x92, 0xa1, 0x28, 0xa0])]),
  'an error': Buffer.concat([Buffer.from([0x91, 0xc7, 0x08, 0x65]), pack(['Error', 'm'])]),
  'a time': Buffer.from([0x91, 0xd6, 0xff, 0, 0, 0, 1]),
  'a big integer': Buffer.from([0x91, 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
  'a map that claims to be an array': pack([{ length: 1, 0: 'heartbeat' }]),
  'a polluting key': Buffer.concat([Buffer.from([0x91, 0x81, 0xa9]), Buffer.from('__proto__'), pack({ polluted: 1 })]),
};

function itDecodesSafely(decode: (frame: Buffer) => unknown, frames: Arbitrary<Buffer>): void {
  it('never throws on noise', () => {
    fc.assert(
      fc.property(noise, (frame) => void decode(frame)),
      RUNS,
    );
  });

  it('never throws on a valid frame that was tampered with', () => {
    fc.assert(
      fc.property(mutated(frames), (frame) => void decode(frame)),
      RUNS,
    );
  });

  for (const [name, frame] of Object.entries(NASTY)) {
    it(`refuses ${name}, soon`, () => {
      const startedAtMs = performance.now();
      expect(decode(frame)).to.equal(undefined);
      expect(performance.now() - startedAtMs).to.be.lessThan(1_000);
      expect(({} as Record<string, unknown>)['polluted']).to.equal(undefined);
    });
  }
}

function describeCodec<Message>(name: string, codec: Codec<Message>, message: Arbitrary<Message>): void {
  const batches = fc.array(message, { maxLength: 5 });

  describe(`the codec of what ${name} says`, () => {
    it('brings back what was put in, each type of message', () => {
      fc.assert(
        fc.property(batches, (messages) => {
          expect(codec.decode(...codec.encode(messages))).to.deep.equal(messages);
        }),
        RUNS,
      );
    });

    it('has an idea of the size of a message', () => {
      fc.assert(
        fc.property(message, (one) => {
          expect(codec.sizeOf(one)).to.be.greaterThan(Buffer.concat(codec.encode([one])).length / 4 - 200);
        }),
        RUNS,
      );
    });

    it('decodes into messages or into nothing, and what it decodes can be sent again', () => {
      fc.assert(
        fc.property(mutated(batches.map((messages) => codec.encode(messages)[0])), (frame) => {
          const messages = codec.decode(frame);
          if (messages) expect(codec.decode(...codec.encode(messages))).to.deep.equal(messages);
        }),
        RUNS,
      );
    });

    it('is not led astray by an earlier frame', () => {
      const good = codec.encode(fc.sample(message, { numRuns: 20, seed: 7 }))[0];
      const expected = codec.decode(good);
      for (const frame of Object.values(NASTY)) {
        codec.decode(frame);
        expect(codec.decode(good)).to.deep.equal(expected);
      }
    });

    itDecodesSafely(
      (frame) => codec.decode(frame),
      batches.map((messages) => codec.encode(messages)[0]),
    );
  });
}

describeCodec('a worker', workerCodec, workerMessage);
describeCodec('a dispatcher', dispatcherCodec, dispatcherMessage);

describe('a frame', () => {
  it('costs a result little more than its pickle', () => {
    expect(workerCodec.encode([{ type: 'results', results: [result()] }])[0].length).to.be.lessThan(110);
  });

  it('has large binaries behind it, each a frame of its own, not copied', () => {
    const [large, larger] = [Buffer.alloc(32 * 1024, 'l'), Buffer.alloc(100_000, 'r')];
    const results = [result({ payload: large }), result(), result({ payload: larger })];
    const frames = workerCodec.encode([{ type: 'goodbye' }, { type: 'results', results }]);
    expect([frames[0].length < 400, frames[1] === large, frames[2] === larger]).to.deep.equal([true, true, true]);
    expect(workerCodec.decode(...frames)).to.deep.equal([{ type: 'goodbye' }, { type: 'results', results }]);
    const [first, ...binaries] = frames;
    for (const wrong of [[], binaries.slice(1), [...binaries, large]]) {
      expect(workerCodec.decode(first, ...wrong)).to.equal(undefined);
    }
  });

  it('of one direction is not one of the other', () => {
    expect(dispatcherCodec.decode(...workerCodec.encode([{ type: 'goodbye' }]))).to.equal(undefined);
    expect(workerCodec.decode(...dispatcherCodec.encode([{ type: 'drain' }]))).to.equal(undefined);
  });

  it('with one bad message among good ones is refused whole', () => {
    expect(workerCodec.decode(pack([['goodbye'], ['invented']]))).to.equal(undefined);
  });

  it('may say more than is known: a newer peer adds fields at the end', () => {
    expect(workerCodec.decode(pack([['heartbeat', 1, 2, 3, null, 'news']]))).to.deep.equal([
      { type: 'heartbeat', lastRun: 1, running: 2, queued: 3 },
    ]);
  });

  it('is read where it lies in a larger buffer', () => {
    const [frame] = workerCodec.encode([{ type: 'goodbye' }]);
    const larger = new Uint8Array(frame.length + 20).fill(0xc1);
    larger.set(frame, 10);
    expect(workerCodec.decode(larger.subarray(10, 10 + frame.length))).to.deep.equal([{ type: 'goodbye' }]);
  });
});

describe('the codec of control events', () => {
  const frames = fc.tuple(fc.string(), controlMessage).map(([from, message]) => encodeControl(from, message));

  it('brings back what was put in, and who said it, each type of event', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), controlMessage, (from, message) => {
        expect(decodeControl(encodeControl(from, message))).to.deep.equal({ from, message });
      }),
      RUNS,
    );
  });

  it('takes nothing along that is not of the event', () => {
    const decoded = decodeControl(pack(['d', { type: 'worker.lost', worker: 'w', extra: 1 }]));
    expect(decoded).to.deep.equal({ from: 'd', message: { type: 'worker.lost', worker: 'w' } });
  });

  itDecodesSafely((frame) => decodeControl(frame), frames);
});

describe('packing large binaries', () => {
  const part = fc.oneof(
    fc.constantFrom(0, 1, 32 * 1024 - 1, 32 * 1024, 100_000).map((length) => Buffer.alloc(length, 'x')),
    fc.string(),
    fc.integer(),
    fc.constant(null),
  );

  it('gives the bytes of the same value, in pieces', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(part, fc.array(part, { maxLength: 4 })), { maxLength: 6 }), (value) => {
        expect(unpack(Buffer.concat(packPieces(value)))).to.deep.equal(value);
      }),
      { numRuns: 300 },
    );
  });

  it('does not copy them', () => {
    const large = Buffer.alloc(1_000_000, 'x');
    expect(packPieces([['a', large], 1]).includes(large)).to.equal(true);
  });
});
