import { expect } from 'chai';
import fc from 'fast-check';
import { type FollowRequest, LiveOutput, type OutputPart } from '../../api/logs/liveOutput.js';
import { LogLines, slicesOf } from '../../api/logs/logLines.js';
import { type OutputPiece, readRecord, recordEntry, recordHead } from '../../bus/outputRecord.js';

const TASK = 'task';
const pieces = fc.array(
  fc.record({
    atMs: fc.nat(),
    stream: fc.constantFrom('stdout' as const, 'stderr' as const),
    bytes: fc.string({ unit: 'binary', maxLength: 12 }).map((text) => Buffer.from(text)),
  }),
  { maxLength: 20 },
);
const recordOf = (attempt: number, printed: OutputPiece[]): Buffer =>
  printed.length === 0 ? Buffer.alloc(0) : Buffer.concat([recordHead(attempt), ...printed.map(recordEntry)]);
const part = (attempt: number, record: Buffer, offset: number, end: number): OutputPart => ({
  ...{ taskId: TASK, attempt, offset, length: record.length },
  bytes: record.subarray(offset, end),
});
const together = (printed: OutputPiece[]): string =>
  printed.map(({ stream, bytes }) => `${stream}:${bytes.toString('hex')};`).join('');

describe('Live output', () => {
  const follow = (): {
    live: LiveOutput;
    asked: FollowRequest[];
    got: { piece: OutputPiece; attempt: number }[];
    tail: ReturnType<LiveOutput['follow']>;
  } => {
    const asked: FollowRequest[] = [];
    const got: { piece: OutputPiece; attempt: number }[] = [];
    const live = new LiveOutput((request) => asked.push(request));
    const tail = live.follow(TASK, (more, attempt) => got.push(...more.map((piece) => ({ piece, attempt }))));
    return { live, asked, got, tail };
  };

  it('is whole and in order, however its parts are cut, lost, doubled and mixed up, when the record has come', () => {
    const parts = fc.array(fc.record({ from: fc.nat({ max: 400 }), size: fc.nat({ max: 60 }) }), { maxLength: 60 });
    fc.assert(
      fc.property(pieces, pieces, parts, fc.boolean(), (earlier, printed, cuts, stale) => {
        const { live, got, tail } = follow();
        const [first, record] = [recordOf(1, earlier), recordOf(2, printed)];
        live.onOutput(part(1, first, 0, first.length));
        for (const { from, size } of cuts) {
          if (from <= record.length) live.onOutput(part(2, record, from, from + size));
          if (stale) live.onOutput(part(1, first, 0, first.length));
        }
        tail.takeRecord(2, record);
        tail.close();
        const last = got.filter(({ attempt }) => attempt === 2).map(({ piece }) => piece);
        expect(together(last)).to.equal(together(readRecord(record).pieces));
      }),
    );
  });

  it('asks again from where it is when a part is missing, and for nothing while its reader is busy', async () => {
    const { live, asked, got, tail } = follow();
    const record = recordOf(3, [
      { atMs: 1, stream: 'stdout', bytes: Buffer.from('one\n') },
      { atMs: 2, stream: 'stdout', bytes: Buffer.from('two\n') },
    ]);
    expect(asked).to.deep.equal([{ taskId: TASK, attempt: 0, from: 0, forMs: 5_000 }]);
    live.onOutput(part(3, record, 0, 22));
    await new Promise((resolve) => setTimeout(resolve, 60));
    live.onOutput(part(3, record, 30, record.length));
    expect(asked.at(-1)).to.deep.include({ attempt: 3, from: 22 });
    tail.pause();
    live.onOutput(part(3, record, 22, record.length));
    expect(got.length).to.equal(1);
    const before = asked.length;
    tail.resume();
    expect(asked.slice(before)).to.deep.equal([{ taskId: TASK, attempt: 3, from: 22, forMs: 5_000 }]);
    live.onOutput(part(3, record, 22, record.length));
    expect(got.map(({ piece }) => piece.bytes.toString())).to.deep.equal(['one\n', 'two\n']);
    expect(tail.isUpToDate).to.equal(true);
    tail.close();
  });

  it('yields nothing, and no error, from what is no record', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (noise) => {
        readRecord(Buffer.from(noise));
      }),
    );
  });

  it('is the same in slices, none of which is much work', () => {
    const long = fc.constantFrom(0, 1, 5_000, 70_000).map((length) => Buffer.alloc(length, 'a\n'));
    const many = fc.array(
      fc.record({ atMs: fc.nat(), stream: fc.constantFrom('stdout' as const, 'stderr' as const), bytes: long }),
    );
    fc.assert(
      fc.property(many, (printed) => {
        const slices = [...slicesOf(printed)];
        const text = ({ stream, bytes }: OutputPiece): string => `${stream}:${bytes.toString('latin1')}`;
        expect(
          slices
            .flat()
            .map(text)
            .join('')
            .replaceAll(/std(out|err):/g, ''),
        ).to.equal(
          printed
            .map(text)
            .join('')
            .replaceAll(/std(out|err):/g, ''),
        );
        for (const slice of slices) {
          expect(Buffer.concat(slice.map(({ bytes }) => bytes)).length).to.be.within(1, 4_096);
          expect(slice.length).to.be.below(300);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('makes lines of each stream, however they were cut, with their ends', () => {
    const bytes = (text: string): Buffer => Buffer.from(text);
    const lines = new LogLines();
    const finished = lines.push([
      { atMs: 1, stream: 'stdout', bytes: bytes('a\nb') },
      { atMs: 2, stream: 'stderr', bytes: bytes('x\n') },
      { atMs: 3, stream: 'stdout', bytes: bytes('c\n\nd') },
    ]);
    expect([...finished, ...lines.finish()]).to.deep.equal([
      { atMs: 1, stream: 'stdout', text: 'a\n' },
      { atMs: 2, stream: 'stderr', text: 'x\n' },
      { atMs: 1, stream: 'stdout', text: 'bc\n' },
      { atMs: 3, stream: 'stdout', text: '\n' },
      { atMs: 3, stream: 'stdout', text: 'd' },
    ]);
  });
});
