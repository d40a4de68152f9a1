import type { TaskStore } from '../bus/taskStore.js';

/** Names remembered; about 200 bytes each. */
const MAX_REMEMBERED = 10_000;

/** What people call functions, for lists: read once of each, for a function never changes. */
export class FunctionNames {
  private readonly known = new Map<string, string>();

  constructor(private readonly store: Pick<TaskStore, 'readFunction'>) {}

  /** @throws PlatformError STORE_UNAVAILABLE */
  async of(functionIds: Iterable<string>): Promise<ReadonlyMap<string, string>> {
    const names = new Map<string, string>();
    await Promise.all(
      [...new Set(functionIds)].map(async (functionId) => {
        const name = this.known.get(functionId) ?? (await this.store.readFunction(functionId))?.name;
        if (name === undefined) return;
        names.set(functionId, name);
        if (this.known.size >= MAX_REMEMBERED) this.known.clear();
        this.known.set(functionId, name);
      }),
    );
    return names;
  }
}
