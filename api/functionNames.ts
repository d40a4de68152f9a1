import type { TaskStore } from '../bus/taskStore.js';

/** Names remembered; about 200 bytes each, 20 MB if all are as long as may be. */
const MAX_REMEMBERED = 10_000;
/** Of a name. Lists repeat it for each task. */
export const MAX_NAME_CHARS = 1_000;

/** What is shown of a name: one that was registered before there was a limit may be any length. */
export const shownName = (name: string): string =>
  // Copied: a slice would keep all of it in memory.
  name.length <= MAX_NAME_CHARS ? name : Buffer.from(`${name.slice(0, MAX_NAME_CHARS - 1)}…`).toString();

/** What people call functions, for lists: read once of each, for a function never changes. */
export class FunctionNames {
  private readonly known = new Map<string, string>();

  constructor(private readonly store: Pick<TaskStore, 'readFunction'>) {}

  /** @throws PlatformError STORE_UNAVAILABLE */
  async of(functionIds: Iterable<string>): Promise<ReadonlyMap<string, string>> {
    const names = new Map<string, string>();
    await Promise.all(
      [...new Set(functionIds)].map(async (functionId) => {
        const name = this.known.get(functionId) ?? (await this.read(functionId));
        if (name === undefined) return;
        names.set(functionId, name);
        if (this.known.size >= MAX_REMEMBERED) this.known.clear();
        this.known.set(functionId, name);
      }),
    );
    return names;
  }

  private async read(functionId: string): Promise<string | undefined> {
    const record = await this.store.readFunction(functionId);
    return record && shownName(record.name);
  }
}
