import { availableParallelism } from 'node:os';
import { delimiter, resolve } from 'node:path';
import { MAX_PICKLE_BYTES, MEBIBYTE, type Environment, integer, labels, program, size, text } from './values.js';

/** With less Python and dill hardly start. */
const MIN_MEMORY_BYTES = 64 * MEBIBYTE;

/** How many workers there are, and what their Python processes may do. */
export interface WorkersConfig {
  /** `WORKERS`: worker processes that `up` starts. Default 1. */
  readonly workers: number;
  /** `SLOTS`: Python processes per worker, so tasks it runs at once. Default: the number of cores. */
  readonly slots: number;
  /** `PYTHON`: command or path of the Python (with dill) that runs functions. Default python3. */
  readonly python: string;
  /** `WORKER_LABELS`: what the worker is fit for, separated by commas; tasks can ask for labels. Default none. */
  readonly workerLabels: readonly string[];
  /** `PYTHONPATH`: absolute directories that functions may import from, separated by colons. Default none. */
  readonly pythonPath: readonly string[];
  /** `MAX_RESULT_BYTES`: largest pickled result of a task. Default 64 MiB. */
  readonly maxResultBytes: number;
  /** `MAX_OUTPUT_BYTES`: how much of what a task prints is kept. Default 1 MiB. */
  readonly maxOutputBytes: number;
  /** `MAX_MEMORY`: address space of a Python process, such as 512M or 2G, beyond which its function fails. Default 0: no limit. */
  readonly maxMemoryBytes: number;
}

export function parseWorkers(env: Environment): WorkersConfig {
  return {
    workers: integer(env, 'WORKERS', 1, 0, 1000),
    slots: integer(env, 'SLOTS', availableParallelism(), 1, 1024),
    python: program(text(env, 'PYTHON', 'python3')),
    workerLabels: labels(env, 'WORKER_LABELS'),
    pythonPath: text(env, 'PYTHONPATH', '')
      .split(delimiter)
      .filter((directory) => directory !== '')
      .map((directory) => resolve(directory)),
    maxResultBytes: integer(env, 'MAX_RESULT_BYTES', 64 * MEBIBYTE, 1024, MAX_PICKLE_BYTES),
    maxOutputBytes: integer(env, 'MAX_OUTPUT_BYTES', MEBIBYTE, 0, 64 * MEBIBYTE),
    maxMemoryBytes: size(env, 'MAX_MEMORY', 0, MIN_MEMORY_BYTES),
  };
}
