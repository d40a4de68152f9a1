/** Numbers and times as people read them. */

const NUMBERS = new Intl.NumberFormat('en');

export const count = (value: number): string => NUMBERS.format(value);

/** `12.3`, `840`, `4.2k`, `1.3M`: at most three digits, for places that are narrow. */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 999_500) return `${trimmed(value / 1_000_000)}M`;
  if (size >= 9_995) return `${trimmed(value / 1_000)}k`;
  return size >= 100 || Number.isInteger(value) ? NUMBERS.format(Math.round(value)) : trimmed(value);
}

function trimmed(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** `850 us`, `12 ms`, `1.4 s`, `3 min 20 s`, `2 h 5 min`, `4 d`. */
export function duration(ms: number): string {
  if (ms < 0) return '0 ms';
  if (ms > 0 && ms < 1) return `${Math.round(ms * 1_000)} µs`;
  if (ms < 9.95) return `${trimmed(Math.round(ms * 10) / 10)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${trimmed(ms / 1_000)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return pair(Math.floor(seconds / 60), 'min', seconds % 60, 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 48 * 60) return pair(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  return `${Math.round(minutes / 1_440)} d`;
}

function pair(large: number, unit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${smallUnit}`;
}

/** `just now`, `12 s ago`. */
export function ago(atMs: number, nowMs = Date.now()): string {
  return nowMs - atMs < 1_000 ? 'just now' : `${duration(Math.floor((nowMs - atMs) / 1_000) * 1_000)} ago`;
}

/** `14:03:27`, with the day when it is another one than today. */
export function clockTime(atMs: number): string {
  const date = new Date(atMs);
  const time = date.toLocaleTimeString('en-GB');
  return date.toDateString() === new Date().toDateString() ? time : `${date.toLocaleDateString('en-CA')} ${time}`;
}

/** `14:03:27.512`. */
export function exactTime(atMs: number): string {
  return `${clockTime(atMs)}.${String(Math.floor(atMs) % 1_000).padStart(3, '0')}`;
}

export function bytes(value: number): string {
  if (value < 1_024) return `${value} B`;
  if (value < 1_024 ** 2) return `${trimmed(value / 1_024)} KiB`;
  return value < 1_024 ** 3 ? `${trimmed(value / 1_024 ** 2)} MiB` : `${trimmed(value / 1_024 ** 3)} GiB`;
}

/** `1 task`, `2,000 tasks`. */
export const plural = (value: number, noun: string): string => `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
