import { PlatformError } from '../bus/errors.js';
import type { TaskStore } from '../bus/taskStore.js';
import type { Asker } from '../bus/tenants.js';

/** Ids remembered; about 100 bytes each. */
const MAX_REMEMBERED = 100_000;

/**
 * Which functions exist, and which Python each needs, asked of the store once per function: they are immutable and never deleted.
 * Absence is not remembered, so a function registered through another API is found at once. What another API learns of the origin
 * of a function that is remembered here is not noticed: its pickle is the same, so it only runs on fewer workers than it could, or
 * fails with VersionMismatch where it could have been refused.
 */
export class KnownFunctions {
  private readonly known = new Map<string, string>();

  constructor(private readonly store: Pick<TaskStore, 'pythonsNeeded'>) {}

  /**
   * The Pythons that functions need, `cpython-3.11` or '' for any, by id: of these, and of others.
   * @param asker what a tenant has is remembered for it alone
   * @throws PlatformError FUNCTION_UNKNOWN, STORE_UNAVAILABLE
   */
  async pythonsOf(functionIds: ReadonlySet<string>, asker: Asker): Promise<ReadonlyMap<string, string>> {
    const unsure = [...functionIds].filter((functionId) => !this.known.has(keyOf(functionId, asker)));
    if (unsure.length > 0) {
      const pythons = await this.store.pythonsNeeded(unsure, asker);
      unsure.forEach((functionId, index) => {
        const python = pythons[index];
        if (python === undefined) throw new PlatformError('FUNCTION_UNKNOWN', `There is no function ${functionId}.`);
        this.remember(functionId, python, asker);
      });
    }
    if (asker === undefined) return this.known;
    return new Map([...functionIds].map((functionId) => [functionId, this.known.get(keyOf(functionId, asker)) ?? '']));
  }

  remember(functionId: string, python: string, asker: Asker): void {
    if (this.known.size >= MAX_REMEMBERED) {
      // Maps keep the order of insertion: the first is the one remembered longest.
      for (const oldest of this.known.keys()) {
        this.known.delete(oldest);
        break;
      }
    }
    this.known.set(keyOf(functionId, asker), python);
  }

  forget(functionId: string, asker: Asker): void {
    this.known.delete(keyOf(functionId, asker));
  }

  /** After the store was away it may have come back older, or empty. */
  forgetAll(): void {
    this.known.clear();
  }
}

const keyOf = (functionId: string, asker: Asker): string =>
  asker === undefined ? functionId : `${asker} ${functionId}`;
