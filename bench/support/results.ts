import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import type { Machine } from './machine.js';
import type { Table } from './table.js';

const RESULTS_DIRECTORY = join(PACKAGE_ROOT, 'bench', 'results');

/** What one command has measured. */
export interface Results {
  readonly machine: Machine;
  readonly seconds: number;
  /** How busy the machine was right before each part, percent, while the bench itself had nothing to do. */
  readonly othersPercent: Readonly<Record<string, number>>;
  readonly figures: Readonly<Record<string, number>>;
  readonly tables: readonly Table[];
}

export function saveResults(name: string, results: Results): void {
  saveFile(`${name}.json`, `${JSON.stringify(results, rounded, 2)}\n`);
}

export function saveFile(name: string, text: string): void {
  mkdirSync(RESULTS_DIRECTORY, { recursive: true });
  writeFileSync(join(RESULTS_DIRECTORY, name), text);
}

/** Undefined when the command has never been run here. */
export function readResults(name: string): Results | undefined {
  try {
    return JSON.parse(readFileSync(join(RESULTS_DIRECTORY, `${name}.json`), 'utf8')) as Results;
  } catch {
    return undefined;
  }
}

/** More digits than the figures have would change with every run. */
const rounded = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
