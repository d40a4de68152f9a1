import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 20;

/** Waits until the condition holds. @throws with the condition's words when it does not within the time. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = 10_000,
): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`within ${withinMs} ms it did not come to this: ${what}`);
    await sleep(POLL_MS);
  }
}

/** Repeats a check until it throws nothing. @throws what it threw last, when the time is over */
export async function eventuallyPasses(check: () => void | Promise<void>, withinMs = 10_000): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
      await sleep(POLL_MS);
    }
  }
}
