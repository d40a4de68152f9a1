import type { Submission } from '../taskLists.js';
import type { NewTask } from '../taskStore.js';
import { type Asker, isVisible } from '../tenants.js';
import { LARGE_ARGUMENTS } from './largeValues.js';
import { parseTask } from './taskRecord.js';

/**
 * The fields of a task's hash that few tasks have, as `submit.lua` takes them: '' for a plain task, else JSON, field by field. Plain
 * tasks that are alike pay one empty argument for all of it together.
 */
export function taskExtras({ retry, resultTtlSeconds, dependsOn, trace, reader }: NewTask): string {
  if ((retry ?? resultTtlSeconds ?? dependsOn ?? trace ?? reader) === undefined) return '';
  const fields: Record<string, string> = {};
  if (retry !== undefined) fields['retry'] = JSON.stringify(retry);
  if (resultTtlSeconds !== undefined) fields['after'] = String(resultTtlSeconds);
  if (dependsOn !== undefined) fields['deps'] = dependsOn.join('');
  if (trace !== undefined) fields['trace'] = trace;
  if (reader !== undefined) fields['reader'] = reader;
  return JSON.stringify(fields);
}

/** `5000`, or `5000 fresh`: beside the time limit, which every claim reads anyway, the isolation costs other tasks nothing. */
export const timeoutField = ({ timeoutMs, isolation }: Pick<NewTask, 'timeoutMs' | 'isolation'>): number | string =>
  isolation === undefined ? timeoutMs : `${timeoutMs} ${isolation}`;

/** What a task was submitted with: the fields of its hash that run it again. */
export const SUBMISSION_FIELDS = [
  'state',
  'function',
  'args',
  'priority',
  'max',
  'timeout',
  'retry',
  'deps',
  'after',
  'needs',
  LARGE_ARGUMENTS,
];

/** The way back from the hash, but for a delay: what is run again is run at once. @param fields those of `SUBMISSION_FIELDS` */
export function parseSubmission(fields: (Buffer | null)[], asker?: Asker): Submission | undefined {
  const present = SUBMISSION_FIELDS.flatMap((name, place) => (fields[place] ? [[name, fields[place]] as const] : []));
  const hash: Record<string, Buffer> = Object.fromEntries(present);
  const task = parseTask('', hash, undefined);
  if (!task || !isVisible(asker, String(hash['needs'] ?? ''))) return undefined;
  const {
    state,
    functionId,
    priority,
    maxAttempts,
    timeoutMs,
    retry,
    resultTtlSeconds,
    requirement,
    dependsOn,
    tenant,
    isolation,
  } = task;
  // Emptied at completion: no pickle has no bytes.
  const bytes = hash['args']?.length ? hash['args'] : hash[LARGE_ARGUMENTS];
  if (!bytes) return { state };
  const given = { functionId, arguments: bytes, priority, maxAttempts, timeoutMs, delayMs: 0 };
  const optional = {
    ...(isolation && { isolation }),
    ...(retry && { retry }),
    ...(resultTtlSeconds && { resultTtlSeconds }),
    ...(requirement && { requirement }),
    ...(dependsOn && { dependsOn }),
    ...(tenant && { tenant }),
  };
  return { state, task: { ...given, ...optional } };
}
