import fc from 'fast-check';
import type { StorePair } from './storePair.js';

/** A step of the task store, given to Redis and to the model; the answers must be the same. */
export interface StoreCommand {
  run(pair: StorePair): Promise<void>;
  toString(): string;
}

/** Numbers that pick a task or an attempt, whatever there are by then. */
export const pick = fc.nat({ max: 1_000 });

export function command(description: unknown, run: (pair: StorePair) => Promise<void>): StoreCommand {
  return { run, toString: () => JSON.stringify(description) };
}

export function taskOf(pair: StorePair, picked: number): string {
  return pair.taskIds[picked % pair.taskIds.length]!;
}

/** Answers that name dependents: a set has no order. */
export const inAnyOrder = <T>(answers: T[]): T[] =>
  answers.map((answer) =>
    namesDependents(answer) ? { ...answer, dependents: [...answer.dependents].sort() } : answer,
  );

function namesDependents(answer: unknown): answer is { dependents: string[] } {
  return (
    typeof answer === 'object' && answer !== null && Array.isArray((answer as { dependents?: unknown }).dependents)
  );
}
