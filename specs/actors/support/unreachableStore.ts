import { PlatformError } from '../../../bus/errors.js';
import type { TaskRef } from '../../../bus/messages.js';
import type { TaskStore } from '../../../bus/taskStore.js';

/** A store that one dispatcher can lose sight of, while others reach it. */
export interface UnreachableStore {
  readonly store: TaskStore;
  away: boolean;
  /** What each call of `release` that came through asked for, and what it was answered. */
  readonly releases: { tasks: TaskRef[]; released: boolean[] }[];
  /** Calls that failed, by name, and that came through. */
  readonly failed: string[];
  readonly answered: string[];
}

export function unreachableStore(real: TaskStore): UnreachableStore {
  const seen: UnreachableStore = {
    away: false,
    releases: [],
    failed: [],
    answered: [],
    store: new Proxy(real, {
      get: (target, name) => {
        const method = Reflect.get(target, name) as unknown;
        if (typeof method !== 'function') return method;
        return async (...args: unknown[]): Promise<unknown> => {
          const needsNoServer = Array.isArray(args[0]) && args[0].length === 0;
          if (seen.away && !needsNoServer) {
            seen.failed.push(String(name));
            throw new PlatformError('STORE_UNAVAILABLE', 'Redis: out of reach');
          }
          const answer: unknown = await Reflect.apply(method, target, args);
          if (!needsNoServer) seen.answered.push(String(name));
          if (name === 'release') {
            const tasks = (args[0] as TaskRef[]).map(({ taskId, fence }) => ({ taskId, fence }));
            seen.releases.push({ tasks, released: answer as boolean[] });
          }
          return answer;
        };
      },
    }),
  };
  return seen;
}
