import type { SettledTask } from '../bus/controlMessages.js';
import type { EndedTask } from '../bus/dependencyResolver.js';
import type { TaskRef } from '../bus/messages.js';
import type { CancelVerdict } from '../bus/taskStore.js';
import type { Asker } from '../bus/tenants.js';
import type { ApiServices } from './services.js';
import { traceCancelled } from './taskTraces.js';

const NO_BYTES = Buffer.alloc(0);

/**
 * Cancels tasks and tells whoever has to know: those who run them, those who wait for them, the log.
 * @param trace the context of the request, if it is traced
 * @throws PlatformError STORE_UNAVAILABLE
 */
export async function cancelTasks(
  {
    store,
    settled,
    transition,
    announceCancelled,
    dependencies,
    tracer,
    lists,
  }: Pick<ApiServices, 'store' | 'settled' | 'transition' | 'announceCancelled' | 'dependencies' | 'tracer' | 'lists'>,
  taskIds: string[],
  asker: Asker,
  trace?: string,
): Promise<CancelVerdict[]> {
  const verdicts = await store.cancel(taskIds, asker);
  const running: TaskRef[] = [];
  const ended: SettledTask[] = [];
  const awaited: EndedTask[] = [];
  taskIds.forEach((taskId, index) => {
    const verdict = verdicts[index];
    if (!verdict?.cancelled) return;
    transition('task', taskId, verdict.from, 'task.cancelled', 'cancelled');
    if (verdict.dependents) awaited.push({ taskId, state: 'cancelled', dependents: verdict.dependents });
    if (verdict.from === 'running') running.push({ taskId, fence: verdict.fence });
    // As the store has it.
    const failure = { type: 'Cancelled', message: 'the task was cancelled' } as const;
    ended.push({ taskId, state: 'cancelled', payload: NO_BYTES, failure });
  });
  if (running.length > 0) announceCancelled(running);
  settled.onSettled(ended);
  dependencies.ended(awaited);
  if (tracer && ended.length > 0) {
    const endedIds = ended.map(({ taskId }) => taskId);
    // Nobody waits for spans, and one that is lost is nobody's fault.
    void traceCancelled(tracer, lists, endedIds, trace).catch(() => undefined);
  }
  return verdicts;
}
