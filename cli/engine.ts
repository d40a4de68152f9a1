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
const WHILE_RUNNING = [
  ...['--heap-growing-percent=400', '--always-sparkplug', '--no-lazy-feedback-allocation'],
  '--memory-reducer-single-gc',
  '--interrupt-budget=15000',
];

/**
 * More room for what lives for milliseconds: half as many scavenges, and fewer survivors of each. With 4 MiB, which stay in the processor's caches, tasks
 * one by one were a few percent faster, and batches a tenth slower (measured). V8 takes it only at its start.
 */
const AT_START = ['--max-semi-space-size=32'];

/** Arguments of `node` for an actor. */
export const ENGINE_ARGUMENTS: readonly string[] = [...AT_START, ...WHILE_RUNNING];

/**
 * How glibc keeps memory for it: up to so much that is free stays. By itself it gives each large buffer back at once, and the kernel clears
 * each page of the next one: 100 page faults for a task with 1 MiB in and out.
 */
const KEPT_BYTES = String(32 * 1024 * 1024);
export const ENGINE_ENVIRONMENT = { MALLOC_MMAP_THRESHOLD_: KEPT_BYTES, MALLOC_TRIM_THRESHOLD_: KEPT_BYTES } as const;

/** The arguments that can still be given to an actor that people have started themselves. */
export function tuneEngine(): void {
  for (const flag of WHILE_RUNNING) setFlagsFromString(flag);
}
