import type { NewTask } from '../taskStore.js';

/**
 * The fields of a task's hash that few tasks have, as `submit.lua` takes them: '' for a plain task, else JSON, field by field. Plain
 * tasks that are alike pay one empty argument for all of it together.
 */
export function taskExtras({ retry, resultTtlSeconds }: NewTask): string {
  if (retry === undefined && resultTtlSeconds === undefined) return '';
  const fields: Record<string, string> = {};
  if (retry !== undefined) fields['retry'] = JSON.stringify(retry);
  if (resultTtlSeconds !== undefined) fields['after'] = String(resultTtlSeconds);
  return JSON.stringify(fields);
}
