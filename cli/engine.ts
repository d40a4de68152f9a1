import { setFlagsFromString } from 'node:v8';

/**
 * How V8 runs an actor. Its defaults suit programs that live for seconds, or hold much and move little; an actor moves much and holds little.
 *
 * - Large values lie outside the heap, and V8 takes them for growth of it: with 1 MiB in and out of each task it marked the whole heap
 *   every fifth task, half of all processor time (measured). Growing fivefold before that makes it every fiftieth.
 * - What was freed is given back to the system when an actor has been idle for a while. V8 marks the whole heap three times for that; the
 *   second and third time find nothing (measured), and cost an idle platform 1 percent of a core in its first half minute.
 * - Code is made ready for the optimiser when it first runs, which makes the first 20,000 tasks cheaper by a tenth; and optimised after a fifth of the
 *   usual time in it: while single tasks come one by one it is compiled for thousands of tasks else, and the slowest percent of them wait for that
 *   (measured: p99 3.6 instead of 4.0 times the median).
 */
const FLAGS = [
  ...['--heap-growing-percent=400', '--always-sparkplug', '--no-lazy-feedback-allocation'],
  '--memory-reducer-single-gc',
  '--interrupt-budget=15000',
];

/** Has V8 run this process so. Before most of its code has run. */
export function tuneEngine(): void {
  for (const flag of FLAGS) setFlagsFromString(flag);
}

/**
 * How glibc keeps memory for it: up to so much that is free stays. By itself it gives each large buffer back at once, and the kernel clears
 * each page of the next one: 100 page faults for a task with 1 MiB in and out.
 */
const KEPT_BYTES = String(32 * 1024 * 1024);
export const ENGINE_ENVIRONMENT = { MALLOC_MMAP_THRESHOLD_: KEPT_BYTES, MALLOC_TRIM_THRESHOLD_: KEPT_BYTES } as const;
