import { setTimeout as sleep } from 'node:timers/promises';

/** Tries until it neither throws nor answers false. */
export async function until<T>(step: () => T | Promise<T>, withinMs = 12_000): Promise<Exclude<T, false>> {
  const deadlineMs = performance.now() + withinMs;
  for (;;) {
    try {
      const answer = await step();
      if (answer !== false) return answer as Exclude<T, false>;
      if (performance.now() > deadlineMs) throw new Error(`Not so within ${withinMs} ms: ${step.toString()}`);
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
    }
    await sleep(5);
  }
}
