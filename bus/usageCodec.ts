import type { WorkerUsage } from './messages.js';
import { array, number } from './shapes.js';

/** At the end of a heartbeat, where there is one. */
export const usageFields = (usage: WorkerUsage | undefined): unknown[] =>
  usage ? [[usage.cpuSeconds, usage.residentBytes, usage.loopLagSeconds]] : [];

export function toUsage(value: unknown): WorkerUsage {
  const [cpuSeconds, residentBytes, loopLagSeconds] = array(value).map(number);
  return {
    cpuSeconds: number(cpuSeconds),
    residentBytes: number(residentBytes),
    loopLagSeconds: number(loopLagSeconds),
  };
}
