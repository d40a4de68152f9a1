import { PlatformError } from '../bus/errors.js';
import type { NewTask, TaskStore } from '../bus/taskStore.js';
import type { Asker } from '../bus/tenants.js';

/**
 * All that the tasks depend on must be there for who asks, which also makes cycles impossible. Nothing for tasks that depend on nothing.
 * @throws PlatformError TASK_UNKNOWN, STORE_UNAVAILABLE
 */
export async function mustExist(
  tasks: readonly NewTask[],
  store: Pick<TaskStore, 'readStatuses'>,
  asker: Asker,
): Promise<void> {
  const ids = new Set<string>();
  for (const { dependsOn } of tasks) for (const id of dependsOn ?? []) ids.add(id);
  if (ids.size === 0) return;
  const asked = [...ids];
  const states = await store.readStatuses(asked, asker);
  const unknown = asked.find((_, index) => states[index] === undefined);
  if (unknown !== undefined) {
    throw new PlatformError('TASK_UNKNOWN', `There is no task ${unknown}, which is in \`depends_on\`.`);
  }
}
