import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { WorkerUsage } from '../bus/messages.js';

/** That of prom-client, which measures the other processes: what it reports is the interval of its timer and how late it was. */
const RESOLUTION_MS = 10;

/** Measures what this process needs; each call tells of the time since the one before. */
export function processUsage(): () => WorkerUsage {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  return () => {
    const { user, system } = process.cpuUsage();
    const lagNs = delay.percentile(99);
    delay.reset();
    return {
      cpuSeconds: (user + system) / 1e6,
      residentBytes: process.memoryUsage.rss(),
      loopLagSeconds: lagNs / 1e9,
    };
  };
}
