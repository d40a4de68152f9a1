import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { WorkerUsage } from '../bus/messages.js';
import { LOOP_DELAY_INTERVAL_MS, usualLoopDelay } from './loopDelay.js';

/** Where the event loop was active for a smaller part of a second than this, nothing can have waited for 10 ms in it. */
const HARDLY_ACTIVE = 0.01;

/**
 * Measures what this process needs; each call tells of the time since the one before. How late the event loop is, is measured only while
 * it has something to do: a timer for it would be most of what an idle worker costs.
 */
export function processUsage(): () => WorkerUsage {
  const delay = monitorEventLoopDelay({ resolution: LOOP_DELAY_INTERVAL_MS });
  let before = performance.eventLoopUtilization();
  let isMeasuring = false;
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    const measuredMs = isMeasuring ? delay.percentile(99) / 1e6 : LOOP_DELAY_INTERVAL_MS;
    delay.reset();
    isMeasuring = utilization > HARDLY_ACTIVE;
    if (isMeasuring) delay.enable();
    else delay.disable();
    const { user, system } = process.cpuUsage();
    return {
      cpuSeconds: (user + system) / 1e6,
      residentBytes: process.memoryUsage.rss(),
      loopLagSeconds: usualLoopDelay(measuredMs),
    };
  };
}
