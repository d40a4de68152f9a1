import { expect } from 'chai';
import { readFileSync } from 'node:fs';
import {
  CorruptWireError,
  forgetFrame,
  FrameDecoder,
  functionFrame,
  taskFrame,
  taskWithInputsFrame,
  type RuntimeFrame,
} from '../../workers/frames.js';
import { sourceFile } from './support/pythonClient.js';

interface Golden {
  name: string;
  to: 'runtime' | 'pool';
  sequence: number;
  hex: string;
  body?: string;
  functionIndex?: number;
  arguments?: string;
  inputs?: { taskId: string; payload: string }[];
  decoded?: object;
}
const { token, frames } = JSON.parse(readFileSync(sourceFile('fixtures/frames.json'), 'utf8')) as {
  token: number;
  frames: Golden[];
};
const toPool = frames.filter(({ to }) => to === 'pool');
const bytes = (hex = ''): Buffer => Buffer.from(hex, 'hex');
const whole = Buffer.concat(toPool.map(({ hex }) => bytes(hex)));

const readable = (frame: RuntimeFrame): object =>
  Object.fromEntries(
    Object.entries(frame).map(([name, value]) => [
      name,
      Buffer.isBuffer(value) ? value.toString('hex') : (value as unknown),
    ]),
  );

describe('frames between the pool and a Python process', () => {
  it('are encoded as the golden ones', () => {
    const encoded: Record<string, (golden: Golden) => Buffer[]> = {
      function: ({ sequence, body }) => functionFrame(token, sequence, bytes(body)),
      task: (golden) => taskFrame(token, golden.sequence, golden.functionIndex ?? 0, bytes(golden.arguments)),
      taskWithInputs: ({ sequence, functionIndex = 0, arguments: args, inputs = [] }) => {
        const values = inputs.map(({ taskId, payload }) => ({ taskId, payload: bytes(payload) }));
        return taskWithInputsFrame(token, sequence, functionIndex, bytes(args), values);
      },
      forget: ({ sequence }) => forgetFrame(token, sequence),
    };
    for (const golden of frames.filter(({ to }) => to === 'runtime')) {
      expect(Buffer.concat(encoded[golden.name]!(golden)).toString('hex'), golden.name).to.equal(golden.hex);
    }
  });

  it('are decoded as the golden ones, however the stream is cut', () => {
    for (const size of [1, 2, 3, 7, 13, 14, 50, whole.length]) {
      const decoder = new FrameDecoder(token);
      const decoded: object[] = [];
      for (let offset = 0; offset < whole.length; offset += size)
        decoded.push(...decoder.push(whole.subarray(offset, offset + size)).map(readable));
      expect(decoded, `chunks of ${size}`).to.deep.equal(toPool.map((golden) => golden.decoded));
    }
  });

  it('joins a large body once', () => {
    const decoder = new FrameDecoder(token);
    const body = Buffer.alloc(64 << 20, 1);
    const head = Buffer.from(bytes(toPool.find(({ name }) => name === 'output')!.hex).subarray(0, 13));
    head.writeUInt32LE(body.length, 4);
    const beginMs = performance.now();
    decoder.push(head);
    let found: RuntimeFrame[] = [];
    for (let offset = 0; offset < body.length; offset += 65_536)
      found = decoder.push(body.subarray(offset, offset + 65_536));
    expect(found.length).to.equal(1);
    expect(performance.now() - beginMs).to.be.lessThan(1_000);
  });

  it('are refused when they are not of this process', () => {
    const wrongToken = (): unknown => new FrameDecoder(token + 1).push(whole);
    expect(wrongToken).to.throw(CorruptWireError, 'token');
    const first = bytes(toPool[0]?.hex);
    const spoilt = (position: number, value: number): (() => unknown) => {
      const copy = Buffer.from(first);
      copy[position] = value;
      return () => new FrameDecoder(token).push(copy);
    };
    expect(spoilt(8, 99)).to.throw(CorruptWireError, 'kind');
    expect(spoilt(7, 0xff)).to.throw(CorruptWireError, 'bytes');
    expect(spoilt(14, 0)).to.throw(CorruptWireError, 'JSON');
    for (const kind of [17, 18]) {
      const short = Buffer.from(bytes(toPool.find(({ name }) => name === 'skipped')!.hex));
      short[8] = kind;
      expect(() => new FrameDecoder(token).push(short)).to.throw(CorruptWireError, 'too short');
    }
  });

  it('are not believed any more behind garbage, in whatever pieces they come', () => {
    const decoder = new FrameDecoder(token);
    expect(() => decoder.push(Buffer.from('junk'.repeat(9)))).to.throw(CorruptWireError, 'token');
    expect(() => decoder.push(whole)).to.throw(CorruptWireError, 'token');
    expect(() => decoder.push(Buffer.alloc(0))).to.throw(CorruptWireError, 'token');
  });

  it('never lets garbage through as anything but corruption', () => {
    for (let seed = 1; seed < 2_000; seed++) {
      const garbage = Buffer.from(whole);
      garbage[(seed * 7919) % garbage.length] = seed % 256;
      try {
        new FrameDecoder(token).push(garbage);
      } catch (error) {
        expect(error).to.be.instanceOf(CorruptWireError);
      }
    }
  });
});
