import { expect } from 'chai';
import { faultThatNotices } from './breakages.js';
import { rowLines } from './report.js';
import { runFault } from './runFault.js';

/** One that shows in seconds; `make chaos BREAK=...` shows each. */
describe('The chaos suite', function () {
  this.timeout(60_000);
  this.slow(20_000);

  it('notices a platform without fences', async () => {
    const row = await runFault(faultThatNotices('fence'));
    expect(row.violations.join('\n'), rowLines(row).join('\n')).to.contain('it has ended what was no longer its own');
  });
});
