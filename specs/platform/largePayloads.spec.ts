import { expect } from 'chai';
import { type Bed, startBed } from '../../bench/support/bed.js';
import { peakMemoryMib, platformProcesses, resetPeakMemory } from '../../bench/support/processes.js';
import { type Mode } from '../../bus/config.js';

const MIB = 1024 * 1024;
/** Whoever keeps what went through it holds more than any process may. */
const COUNT = 350;
/** MiB; what ARCHITECTURE.md promises, the process itself (about 80, of Python 20) included. */
const LIMITS = { API: 320, dispatcher: 288, worker: 288, Python: 96, NATS: 64, monitor: 128 };

for (const mode of ['push', 'pull'] as const satisfies Mode[]) {
  describe(`${COUNT} arguments and results of 1 MiB in ${mode} mode`, function () {
    this.timeout(120_000);
    let bed: Bed;
    before(async () => {
      bed = await startBed({ mode });
    });
    after(() => bed.stop());

    it('come back whole, and leave the memory of each process bounded', async () => {
      await bed.client.ask({ ask: 'large', count: 10, size: MIB });
      resetPeakMemory(platformProcesses(bed.platform));
      await bed.client.ask({ ask: 'large', count: COUNT, size: MIB });
      const peaks = peakMemoryMib(platformProcesses(bed.platform));
      for (const [name, limit] of Object.entries(LIMITS)) {
        expect(peaks.get(name), `${name}, MiB`).to.be.greaterThan(0).and.lessThan(limit);
      }
    });
  });
}
