import { PlatformError } from '../bus/errors.js';
import type { TaskStore } from '../bus/taskStore.js';

/** Ids remembered; about 100 bytes each. */
const MAX_REMEMBERED = 100_000;

/**
 * Whether functions exist, asked of the store once per function: they are immutable and never deleted. Only existence is
 * remembered, never absence, so a function registered through another API is found at once.
 */
export class KnownFunctions {
  private readonly known = new Set<string>();

  constructor(private readonly store: TaskStore) {}

  /** @throws PlatformError FUNCTION_UNKNOWN, STORE_UNAVAILABLE */
  async mustExist(functionIds: ReadonlySet<string>): Promise<void> {
    const unsure = [...functionIds].filter((functionId) => !this.known.has(functionId));
    if (unsure.length === 0) return;
    const exist = await this.store.functionsExist(unsure);
    unsure.forEach((functionId, index) => {
      if (exist[index] !== true) throw new PlatformError('FUNCTION_UNKNOWN', `There is no function ${functionId}.`);
      this.remember(functionId);
    });
  }

  remember(functionId: string): void {
    if (this.known.size >= MAX_REMEMBERED) {
      // Sets keep the order of insertion: the first is the one remembered longest.
      for (const oldest of this.known) {
        this.known.delete(oldest);
        break;
      }
    }
    this.known.add(functionId);
  }

  /** After the store was away it may have come back older, or empty. */
  forgetAll(): void {
    this.known.clear();
  }
}
