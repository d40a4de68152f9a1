import { systemClock } from '../actors/clock.js';
import { HeartbeatMonitor } from '../actors/heartbeatMonitor.js';
import type { Config } from '../bus/config.js';
import { runComponent, workerTimings } from './component.js';

/** The heartbeat monitor's process. */
export function runMonitor(config: Config): Promise<void> {
  return runComponent('monitor', config, async ({ openStore, openControl, transition, counts, onError, log }) => {
    const store = await openStore();
    const control = await openControl(['worker.heartbeats']);
    const monitor = new HeartbeatMonitor(
      { reapMs: config.reapMs, timings: workerTimings(config) },
      {
        store,
        control,
        clock: systemClock,
        transition,
        counts,
        onError,
        onPaused: (paused) => {
          const words = paused
            ? 'Redis restarted or stood still, or no monitor was there: leases are not enforced for one lease'
            : 'leases are enforced again';
          log.info({ leaseMs: config.leaseMs }, words);
        },
      },
    );
    monitor.start();
    return {
      drain: () => {
        monitor.stop();
        return Promise.resolve();
      },
    };
  });
}
