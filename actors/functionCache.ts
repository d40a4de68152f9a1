import type { TaskStore } from '../bus/taskStore.js';

/** The dispatcher's copies of function bodies, bounded by bytes, least recently used out first. Functions never change. */
export class FunctionCache {
  private readonly bodies = new Map<string, Buffer>();
  private bytes = 0;

  constructor(
    private readonly store: Pick<TaskStore, 'loadFunctions'>,
    private readonly maxBytes: number,
  ) {}

  /** Bodies of those functions that exist; rejects when the store cannot be reached. */
  async load(functionIds: readonly string[]): Promise<Map<string, Buffer>> {
    const found = new Map<string, Buffer>();
    const missing: string[] = [];
    for (const functionId of functionIds) {
      const body = this.bodies.get(functionId);
      if (!body) missing.push(functionId);
      else {
        found.set(functionId, body);
        this.bodies.delete(functionId);
        this.bodies.set(functionId, body);
      }
    }
    if (missing.length === 0) return found;
    const loaded = await this.store.loadFunctions(missing);
    missing.forEach((functionId, index) => {
      const body = loaded[index];
      if (!body) return;
      found.set(functionId, body);
      this.add(functionId, body);
    });
    return found;
  }

  private add(functionId: string, body: Buffer): void {
    if (!this.bodies.has(functionId)) this.bytes += body.length;
    this.bodies.set(functionId, body);
    for (const [oldest, oldBody] of this.bodies) {
      if (this.bytes <= this.maxBytes || oldest === functionId) break;
      this.bodies.delete(oldest);
      this.bytes -= oldBody.length;
    }
  }
}
