import { resolve } from 'node:path';
import { PlatformError } from '../errors.js';
import { LABEL_PATTERN } from '../requirement.js';

/** The variables a process was started with; only entry points (`cli/`) read them, and hand them over here. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A variable holds what it may not. The message names variable, value and what is allowed; it is meant to be shown as is. */
export class ConfigError extends PlatformError {
  constructor(
    readonly variable: string,
    readonly value: string,
    readonly allowed: string,
  ) {
    super('CONFIG_INVALID', `${variable}=${value} is not valid: it must be ${allowed}.`);
    this.name = 'ConfigError';
  }
}

export const MEBIBYTE = 1024 * 1024;
/** Together with a few messages it must fit into one frame of the worker wire (192 MiB, `bus/zeromq/wire.ts`). */
export const MAX_PICKLE_BYTES = 128 * MEBIBYTE;
export const DAY_MS = 86_400_000;
const MAX_WORKER_LABELS = 64;

export function text(env: Environment, variable: string, fallback: string): string {
  const value = env[variable];
  return value === undefined || value === '' ? fallback : value;
}

export function integer(env: Environment, variable: string, fallback: number, min: number, max: number): number {
  const value = text(env, variable, String(fallback));
  const number = Number(value);
  if (!/^\d+$/.test(value) || number < min || number > max) {
    throw new ConfigError(variable, value, `a whole number from ${min} to ${max}`);
  }
  return number;
}

/** Bytes, or K, M, G of them; 0, or at least `min`. */
export function size(env: Environment, variable: string, fallback: number, min: number): number {
  const value = text(env, variable, String(fallback));
  const [, digits, unit = ''] = /^(\d{1,12})([KMG]?)$/i.exec(value) ?? [];
  const bytes = Number(digits) * 1024 ** ' KMG'.indexOf(unit.toUpperCase() || ' ');
  if (digits === undefined || (bytes !== 0 && (bytes < min || bytes > Number.MAX_SAFE_INTEGER))) {
    throw new ConfigError(variable, value, `0 for no limit, or a size from ${min / MEBIBYTE}M, such as 512M or 2G`);
  }
  return bytes;
}

/** 1 or true for yes. */
export function flag(env: Environment, variable: string): boolean {
  const value = text(env, variable, '0');
  if (!['0', '1', 'true', 'false'].includes(value)) throw new ConfigError(variable, value, '0 or 1');
  return value === '1' || value === 'true';
}

export function port(env: Environment, variable: string, fallback: number): number {
  return integer(env, variable, fallback, 0, 65_535);
}

export function oneOf<T extends string>(env: Environment, variable: string, allowed: readonly T[], fallback: T): T {
  const value = text(env, variable, fallback);
  const found = allowed.find((one) => one === value);
  if (found === undefined) {
    throw new ConfigError(variable, value, `one of ${allowed.join(', ')}`);
  }
  return found;
}

export function labels(env: Environment, variable: string): string[] {
  const given = text(env, variable, '')
    .split(',')
    .filter((label) => label !== '');
  const wrong = given.find((label) => !new RegExp(LABEL_PATTERN).test(label));
  if (wrong !== undefined || given.length > MAX_WORKER_LABELS) {
    const allowed = `up to ${MAX_WORKER_LABELS} labels separated by commas, each of up to 64 letters, digits and "_.:-"`;
    throw new ConfigError(variable, wrong ?? `${given.length} labels`, allowed);
  }
  return [...new Set(given)].sort();
}

/** A path is meant from here, wherever it is run from; a name is looked up. */
export const program = (value: string): string => (value.includes('/') ? resolve(value) : value);

export function url(env: Environment, variable: string, example: string, form: RegExp): string {
  const value = text(env, variable, example);
  if (!form.test(value)) {
    throw new ConfigError(variable, value, `a URL such as ${example}`);
  }
  return value;
}
