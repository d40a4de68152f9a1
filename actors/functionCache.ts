import { FunctionBodies } from '../bus/functionBodies.js';
import type { TaskStore } from '../bus/taskStore.js';

/** The dispatcher's copies of function bodies. */
export class FunctionCache {
  private readonly bodies: FunctionBodies;

  constructor(
    private readonly store: Pick<TaskStore, 'loadFunctions'>,
    maxBytes: number,
  ) {
    this.bodies = new FunctionBodies(maxBytes);
  }

  /** Bodies of those functions that exist; rejects when the store cannot be reached. */
  async load(functionIds: readonly string[]): Promise<Map<string, Buffer>> {
    const found = new Map<string, Buffer>();
    const missing: string[] = [];
    for (const functionId of functionIds) {
      const body = this.bodies.get(functionId);
      if (body) found.set(functionId, body);
      else missing.push(functionId);
    }
    if (missing.length === 0) return found;
    const loaded = await this.store.loadFunctions(missing);
    missing.forEach((functionId, index) => {
      const body = loaded[index];
      if (!body) return;
      found.set(functionId, body);
      this.bodies.add(functionId, body);
    });
    return found;
  }
}
