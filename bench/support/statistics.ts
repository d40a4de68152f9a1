/** The middle value; of an even count the mean of the two in the middle. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Nearest rank: the smallest value that at least `percent` of all values do not exceed. NaN for none. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
}

/**
 * Median of the ratios of values that were measured side by side, round by round: a machine that is slow for a while is slow for
 * both, and leaves their ratio alone.
 */
export function medianRatio(values: readonly number[], references: readonly number[]): number {
  const pairs = Math.min(values.length, references.length);
  return median(Array.from({ length: pairs }, (_, round) => (values[round] ?? NaN) / (references[round] ?? NaN)));
}

/** Three figures that count, for people: 17,400, 1.52, 0.0312; small whole numbers as they are. */
export function readable(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (Number.isInteger(value) && Math.abs(value) < 10_000) return value.toLocaleString('en-US');
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  const unit = 10 ** (magnitude - 2);
  const rounded = Math.round(value / unit) * unit;
  const decimals = Math.max(0, Math.min(6, 2 - magnitude));
  return rounded.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** `median (lowest-highest)`: how far single rounds were from it. */
export function spread(values: readonly number[]): string {
  if (values.length < 2) return readable(median(values));
  return `${readable(median(values))} (${readable(Math.min(...values))}-${readable(Math.max(...values))})`;
}
