import { expect } from 'chai';
import { linearTicks, logTicks, plotSvg } from '../../bench/scaling/plot.js';
import { idealSeconds, KINDS } from '../../bench/scaling/study.js';
import { withSection } from '../../bench/support/report.js';
import { rounds, tasksFor } from '../../bench/support/rounds.js';
import { median, medianRatio, percentile, readable } from '../../bench/support/statistics.js';
import { csv, tableMarkdown, tableText } from '../../bench/support/table.js';
import { countMet, targetTable, TARGETS } from '../../bench/support/targets.js';

describe("the bench's own arithmetic", () => {
  it('takes medians and percentiles of what was measured, in any order', () => {
    expect(median([3, 1, 2])).to.equal(2);
    expect(median([4, 1, 2, 3])).to.equal(2.5);
    expect(median([])).to.be.NaN;
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect([50, 95, 99, 100].map((percent) => percentile(hundred, percent))).to.deep.equal([50, 95, 99, 100]);
    expect(percentile([7], 99)).to.equal(7);
  });

  it('compares round by round, so that a slow minute of the machine is not taken for a slow platform', () => {
    expect(medianRatio([20, 2, 20], [10, 1, 10])).to.equal(2);
  });

  it('writes figures for people', () => {
    expect([17_391.2, 1.5178, 0.03119, 1024, Number.NaN].map(readable)).to.deep.equal([
      '17,400',
      '1.52',
      '0.0312',
      '1,024',
      '-',
    ]);
  });

  it('ends rounds early rather than late', async () => {
    let count = 0;
    const done = await rounds(5, 0.03, async () => {
      count++;
      await new Promise((resolve) => setTimeout(resolve, 20));
    });
    expect([done, count]).to.deep.equal([1, 1]);
    expect(tasksFor(12_345, 2)).to.equal(24_700);
    expect(tasksFor(1, 2)).to.equal(200);
  });

  it('lets workers that compute share the cores, and those that sleep not', () => {
    const [, sleep, cpu] = KINDS;
    expect(idealSeconds(sleep!, 500, 8, 2)).to.equal(5);
    expect(idealSeconds(cpu!, 500, 1, 2)).to.equal(1);
    expect(idealSeconds(cpu!, 500, 8, 2)).to.equal(4);
  });
});

describe("the bench's targets", () => {
  const target = { what: 'both modes', unit: 'ms', bound: { atMost: 1 }, figures: ['a', 'b'] };

  it('are met by the worst of their figures or not at all', () => {
    expect(countMet({ a: 0.5, b: 1 }, [target])).to.deep.equal({ met: 1, measured: 1 });
    expect(countMet({ a: 0.5, b: 1.01 }, [target])).to.deep.equal({ met: 0, measured: 1 });
    expect(targetTable({ a: 0.5, b: 1.01 }, [target]).rows).to.deep.equal([['both modes', '<= 1 ms', 1.01, 'NOT MET']]);
  });

  it('are not met by what was not measured', () => {
    expect(countMet({ a: 0.5 }, [target])).to.deep.equal({ met: 0, measured: 0 });
    expect(countMet({}).measured).to.equal(0);
    expect(targetTable({}).rows).to.have.length(TARGETS.length);
  });
});

describe("the bench's tables and pictures", () => {
  const table = { title: 'T', columns: ['who', 'tasks/s'], rows: [['a|b', 12_345.6]], notes: ['once'] };

  it('come as text, as Markdown and as CSV', () => {
    expect(tableText(table))
      .to.match(/a\|b\s+12,300\n/)
      .and.include('once');
    expect(tableMarkdown(table)).to.include('| a\\|b | 12,300 |');
    expect(csv(table.columns, [['say "hi", you', 1.5]])).to.equal('who,tasks/s\n"say ""hi"", you",1.5\n');
  });

  it('have axes that hold all values', () => {
    expect(linearTicks(0.93)).to.deep.equal([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(logTicks([3, 2_000])).to.deep.equal([1, 10, 100, 1_000, 10_000]);
    const svg = plotSvg({
      ...{ title: 'a < b', subtitle: '', xTitle: 'workers', yTitle: 'tasks/s', xTicks: [1, 2], yScale: 'linear' },
      panels: [{ title: 'no-op', lines: [{ name: 'push', points: [[1, 10], [2, 20]] }] }], // prettier-ignore
    });
    expect(svg).to.include('a &lt; b').and.include('<polyline').and.not.include('NaN');
  });

  it('replace their own place in the report and nothing else', () => {
    const report = 'words\n<!-- made by x -->\nold\n<!-- end -->\nmore\n<!-- made by y -->\n<!-- end -->\n';
    expect(withSection(report, 'x', 'new')).to.equal(
      'words\n<!-- made by x -->\n\nnew\n\n<!-- end -->\nmore\n<!-- made by y -->\n<!-- end -->\n',
    );
    expect(() => withSection(report, 'z', 'new')).to.throw('made by z');
  });
});
