import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { WorkerUsage } from '../bus/messages.js';

/** What prom-client, which measures the other processes, reports is the interval of its timer, 10 ms, and how late it was. */
const REPORTED_INTERVAL_MS = 10;
/** Ours is slower: a hundred times a second were most of what an idle worker needed. */
const INTERVAL_MS = 100;

/** Measures what this process needs; each call tells of the time since the one before. */
export function processUsage(): () => WorkerUsage {
  const delay = monitorEventLoopDelay({ resolution: INTERVAL_MS });
  delay.enable();
  return () => {
    const { user, system } = process.cpuUsage();
    const lagNs = delay.percentile(99);
    delay.reset();
    return {
      cpuSeconds: (user + system) / 1e6,
      residentBytes: process.memoryUsage.rss(),
      loopLagSeconds: Math.max(0, lagNs / 1e6 - INTERVAL_MS + REPORTED_INTERVAL_MS) / 1_000,
    };
  };
}
