import type { Json } from './platformApi.js';
import type { Screen, Style } from './screen.js';

const STATUS_STYLE: Record<string, Style> = {
  QUEUED: 'cyan',
  RUNNING: 'yellow',
  COMPLETED: 'green',
  FAILED: 'red',
  CANCELLED: 'dim',
};

export const text = (value: unknown): string =>
  typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
export const number = (value: unknown): number => (typeof value === 'number' ? value : 0);
export const objects = (value: unknown): Json[] => (Array.isArray(value) ? (value as Json[]) : []);
export const object = (value: unknown): Json | undefined =>
  typeof value === 'object' && value !== null ? (value as Json) : undefined;

export function status(screen: Screen, value: unknown): string {
  return screen.paint(STATUS_STYLE[text(value)] ?? 'bold', text(value));
}

/** `350 us`, `12 ms`, `3.2 s`, `4 min`, `2.5 h`, `3 d`. */
export function duration(ms: number): string {
  if (ms < 1) return `${Math.round(ms * 1000)} us`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 86_400_000) return `${(ms / 3_600_000).toFixed(1)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}

export function ago(iso: unknown, nowMs = Date.now()): string {
  return typeof iso === 'string' ? `${duration(Math.max(1, nowMs - Date.parse(iso)))} ago` : '';
}

export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** Why a task ended badly, in one line. */
export function failureLine(failure: unknown): string {
  const { type, exception, message } = object(failure) ?? {};
  if (type === undefined) return '';
  const [firstLine = ''] = text(message).split('\n');
  const name = type === 'UserException' && text(exception) !== '' ? text(exception) : text(type);
  return firstLine === '' || firstLine.startsWith(name) ? firstLine || name : `${name}: ${firstLine}`;
}
