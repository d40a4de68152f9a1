import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { type Machine, machineText } from './machine.js';
import type { Results } from './results.js';
import { tableMarkdown } from './table.js';

const REPORT = join(PACKAGE_ROOT, 'bench', 'REPORT.md');

const begin = (name: string): string => `<!-- made by ${name} -->`;
const END = '<!-- end -->';

/** Replaces what stands between the marker of `name` and the next end marker. @throws when the report has no such place */
export function withSection(report: string, name: string, content: string): string {
  const from = report.indexOf(begin(name));
  const to = report.indexOf(END, from);
  if (from < 0 || to < 0) throw new Error(`There is no ${begin(name)} ... ${END} in the report.`);
  return `${report.slice(0, from)}${begin(name)}\n\n${content.trim()}\n\n${report.slice(to)}`;
}

export function writeSection(name: string, content: string): void {
  writeFileSync(REPORT, withSection(readFileSync(REPORT, 'utf8'), name, content));
}

/** Where, with what, and how loaded the machine was. */
export function provenance(machine: Machine, seconds: number, othersPercent: Results['othersPercent']): string {
  const others = Object.entries(othersPercent).map(([part, percent]) => `${part} ${percent.toFixed(0)}`);
  const lines = [...machineText(machine).split('\n'), `${(seconds / 60).toFixed(1)} minutes`];
  if (others.length > 0) {
    lines.push(`percent of the machine that others used right before each part: ${others.join(', ')}`);
  }
  return lines.map((line) => `- ${line}`).join('\n');
}

export const resultsSection = ({ machine, seconds, othersPercent, tables }: Results): string =>
  [provenance(machine, seconds, othersPercent), ...tables.map(tableMarkdown)].join('\n\n');
