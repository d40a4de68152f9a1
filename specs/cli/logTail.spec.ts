import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { LogTail } from '../../cli/logTail.js';

describe('The log tail', () => {
  let directory: string;
  let path: string;
  let shown: string[];
  let tail: LogTail;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tail-'));
    path = join(directory, 'log');
    shown = [];
    tail = new LogTail((name, line) => shown.push(`${name}: ${line}`));
  });

  afterEach(() => {
    tail.stop();
    rmSync(directory, { recursive: true });
  });

  it('shows whole lines that are appended after it began', () => {
    writeFileSync(path, 'before\n');
    tail.follow('a', path);
    appendFileSync(path, 'one\ntw');
    tail.poll();
    expect(shown).to.deep.equal(['a: one']);
    appendFileSync(path, 'o\n');
    tail.poll();
    expect(shown).to.deep.equal(['a: one', 'a: two']);
  });

  it('keeps a character together that comes in two writes', () => {
    tail.follow('a', path);
    const bytes = Buffer.from('€\n');
    appendFileSync(path, bytes.subarray(0, 1));
    tail.poll();
    appendFileSync(path, bytes.subarray(1));
    tail.poll();
    expect(shown).to.deep.equal(['a: €']);
  });

  it('skips to the end of a flood, and says so', () => {
    tail.follow('a', path);
    appendFileSync(path, `${'x'.repeat(99)}\n`.repeat(100_000));
    tail.poll();
    expect(shown.length).to.be.lessThan(2000);
    expect(shown[0]).to.match(/\d+ bytes skipped/);
    expect(shown.slice(1).every((line) => line.length === 'a: '.length + 99)).to.equal(true);
  });

  it('shows what is left when it stops', () => {
    tail.follow('a', path);
    appendFileSync(path, 'last\n');
    tail.stop();
    expect(shown).to.deep.equal(['a: last']);
  });
});
