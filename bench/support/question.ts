import type { Bed } from './bed.js';
import type { Program } from './program.js';
import type { Pace } from './rounds.js';
import type { Table } from './table.js';

export interface Answer {
  readonly tables: readonly Table[];
  /** By names such as `throughput.perSecond`; what the targets are held against, and what is kept. */
  readonly figures: Readonly<Record<string, number>>;
}

export interface Context {
  readonly pace: Pace;
  /** A platform as it comes: push mode, one worker with two Python processes; shared by the questions that change nothing of it. */
  readonly bed: Bed;
  /** `ProcessPoolExecutor(2)`. */
  readonly pool: Program;
  /** A line of progress. */
  readonly say: (text: string) => void;
}

export interface Question {
  readonly name: string;
  /** In words, for progress lines. */
  readonly title: string;
  /** About how long it takes where `make bench` takes nine minutes. */
  readonly usualSeconds: number;
  ask(context: Context): Promise<Answer>;
}

/** The answer of `throughput` in `python/questions.py`. */
export interface Throughput {
  seconds: number;
  cpu_seconds: number;
}

export async function throughputOf(program: Program, tasks: number): Promise<Throughput & { rate: number }> {
  const answer = await program.ask<Throughput>({ ask: 'throughput', tasks });
  return { ...answer, rate: tasks / answer.seconds };
}
