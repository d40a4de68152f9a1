import { functionIdOf, PRIORITIES } from '../../bus/redis/keys.js';
import type { NewTask } from '../../bus/taskStore.js';
import { type Behaviour, encodeBehaviour, randomBehaviour, randomRetryPolicy } from './behaviour.js';
import type { Client } from './client.js';
import type { Ledger } from './ledger.js';
import type { MemoryStoreData } from './memoryStoreData.js';
import type { Profile } from './profiles.js';
import type { Random } from './random.js';
import type { Timeline } from './timeline.js';

const REQUIREMENTS = ['gpu', 'eu', 'eu,gpu', '@cpython-3.11', 'gpu@cpython-3.11'];

export interface WorkloadDeps {
  random: Random;
  profile: Profile;
  timeline: Timeline;
  clients: readonly Client[];
  ledger: Ledger;
  data: MemoryStoreData;
}

/** Plans which tasks are submitted when, and which of them are cancelled. Those that never end by themselves are, sooner or later. */
export function planWorkload(deps: WorkloadDeps, untilMs: number): void {
  const { random, timeline, clients, data } = deps;
  const functions = Array.from({ length: random.integer(1, 3) }, (_, index) => Buffer.from(`function ${index}`));
  for (const [index, payload] of functions.entries()) {
    data.functions.set(functionIdOf(payload), { name: `f${index}`, payload, registeredAtMs: 0 });
  }
  /** Later ones may depend on these. */
  const planned: string[] = [];
  for (let left = random.integer(5, 30); left > 0;) {
    const size = Math.min(left, random.integer(1, 6));
    left -= size;
    const client = random.pick(clients);
    const batch = Array.from({ length: size }, () => createTask(deps, functions, planned));
    planned.push(...batch.map(({ task }) => task.taskId));
    const atMs = random.between(500, untilMs - 1_000);
    timeline.schedule(atMs, () => {
      client.submit(batch.map(({ task }) => task));
    });
    for (const { task, behaviour } of batch) {
      if (behaviour.ends !== 'never' && !random.chance(0.1)) continue;
      if (task.timeoutMs > 0 && random.chance(0.8)) continue;
      timeline.schedule(atMs + random.between(10, 12_000), () => {
        client.cancel(task.taskId);
      });
    }
  }
}

function createTask(
  { random, profile, ledger }: WorkloadDeps,
  functions: readonly Buffer[],
  planned: readonly string[],
): { task: NewTask; behaviour: Behaviour } {
  const retry = random.chance(0.3) ? randomRetryPolicy(random) : undefined;
  const dependsOn = planned.length > 0 && random.chance(0.35) ? someOf(planned, random) : undefined;
  const { longMs, crashingTasks: crashing } = profile;
  const reading = dependsOn !== undefined && random.chance(0.7);
  const behaviour = randomBehaviour(random, { longMs, crashing, retried: retry !== undefined, reading });
  const task: NewTask = {
    taskId: random.uuid(),
    functionId: functionIdOf(random.pick(functions)),
    arguments: encodeBehaviour(behaviour),
    priority: random.pick(PRIORITIES),
    maxAttempts: random.pick([1, 3, 3, 3, 5]),
    timeoutMs: random.chance(0.2) ? random.integer(100, 5_000) : 0,
    delayMs: random.chance(0.15) ? random.integer(1, 8_000) : 0,
    ...(random.chance(0.4) && { requirement: random.pick(REQUIREMENTS) }),
    ...(retry && { retry }),
    ...(dependsOn && { dependsOn }),
  };
  ledger.register(task, behaviour);
  return { task, behaviour };
}

/** One recent task, so that chains come about, or many. */
function someOf(planned: readonly string[], random: Random): string[] {
  const among = random.chance(0.5) ? planned.slice(-4) : planned;
  const count = random.pick([1, 1, 1, 2, 6]);
  return [...new Set(Array.from({ length: count }, () => random.pick(among)))];
}
