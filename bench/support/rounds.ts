/** How much is measured. `quick` tells only whether everything works. */
export interface Pace {
  /** Rounds of each measurement; figures are medians over them. */
  readonly rounds: number;
  /** About how long one measurement of a rate lasts. */
  readonly secondsPerMeasurement: number;
  /** Multiplies fixed numbers of tasks. */
  readonly scale: number;
  /** Multiplies what the rounds of a measurement may take in all. */
  readonly patience: number;
}

export const FULL_PACE: Pace = { rounds: 5, secondsPerMeasurement: 2, scale: 1, patience: 1 };
export const QUICK_PACE: Pace = { rounds: 1, secondsPerMeasurement: 0.3, scale: 0.02, patience: 1 };

/** Where only a share of the usual time is left: shorter measurements, and where that does not do fewer of them. */
export function hurried(pace: Pace, share: number): Pace {
  if (share >= 1) return pace;
  const patience = Math.max(0.2, share);
  return { ...pace, patience, secondsPerMeasurement: pace.secondsPerMeasurement * patience };
}

/**
 * Runs up to `count` rounds and stops early, after one at least, when the next one would probably end after `budgetSeconds`: a
 * bench on a busy machine has fewer rounds, not more minutes. Answers how many there were.
 */
export async function rounds(
  count: number,
  budgetSeconds: number,
  round: (index: number) => Promise<void>,
): Promise<number> {
  const beganAt = performance.now();
  for (let done = 0; done < count; done++) {
    const elapsed = (performance.now() - beganAt) / 1000;
    if (done > 0 && elapsed + elapsed / done > budgetSeconds) return done;
    await round(done);
  }
  return count;
}

/** All of them, begun with another one each round: each goes first about as often as the others. */
export function inTurn<T>(all: readonly T[], round: number): T[] {
  const first = round % all.length;
  return [...all.slice(first), ...all.slice(0, first)];
}

/** How many tasks last about `seconds` at the given rate: a round number, and within bounds. */
export function tasksFor(ratePerSecond: number, seconds: number, atLeast = 200, atMost = 60_000): number {
  const wanted = Math.min(atMost, Math.max(atLeast, ratePerSecond * seconds));
  return Math.round(wanted / 100) * 100;
}

export const scaled = (count: number, { scale }: Pace, atLeast: number): number =>
  Math.max(atLeast, Math.round(count * scale));
