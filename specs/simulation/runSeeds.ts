import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import type { Breakage } from './breakages.js';
import { simulate, type SimulationReport } from './simulation.js';

export interface SeedRange {
  from: number;
  count: number;
  breakage: Breakage | undefined;
}

/** Seeds that a thread runs before it reports. */
const CHUNK = 20;

/**
 * Runs the seeds on `threads` threads; `onReports` hears of them in chunks, in any order, and says whether to go on. Resolves when
 * all have ended.
 */
export async function runSeeds(
  range: SeedRange,
  threads: number,
  onReports: (reports: SimulationReport[]) => boolean,
): Promise<void> {
  let next = range.from;
  const end = range.from + range.count;
  let goOn = true;
  const takeChunk = (): SeedRange | undefined => {
    if (!goOn || next >= end) return undefined;
    const from = next;
    next = Math.min(end, from + CHUNK);
    return { ...range, from, count: next - from };
  };
  await Promise.all(
    Array.from({ length: Math.min(threads, Math.ceil(range.count / CHUNK)) }, async () => {
      const worker = new Worker(fileURLToPath(import.meta.url));
      try {
        for (let chunk = takeChunk(); chunk; chunk = takeChunk()) {
          const reports = await ask(worker, chunk);
          if (goOn) goOn = onReports(reports);
        }
      } finally {
        await worker.terminate();
      }
    }),
  );
}

function ask(worker: Worker, chunk: SeedRange): Promise<SimulationReport[]> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (reports: SimulationReport[]) => {
      worker.off('error', reject);
      resolve(reports);
    });
    worker.postMessage(chunk);
  });
}

/** Runs seeds one after the other, up to the first violation. */
export async function runChunk({ from, count, breakage }: SeedRange): Promise<SimulationReport[]> {
  const reports: SimulationReport[] = [];
  for (let seed = from; seed < from + count; seed++) {
    const report = await simulate({ seed, breakage });
    reports.push(report);
    if (report.violation) break;
  }
  return reports;
}

if (!isMainThread && parentPort) {
  const port = parentPort;
  port.on('message', (range: SeedRange) => {
    void runChunk(range).then((reports) => {
      port.postMessage(reports);
    });
  });
}
