/** Copies of function bodies, bounded by bytes: the least recently used are forgotten. Functions never change. */
export class FunctionBodies {
  /** Least recently used first. */
  private readonly bodies = new Map<string, Buffer>();
  private bytes = 0;

  /** @param maxBytes of all bodies together; the newest stays, however large it is */
  constructor(private readonly maxBytes: number) {}

  has(functionId: string): boolean {
    return this.bodies.has(functionId);
  }

  ids(): string[] {
    return [...this.bodies.keys()];
  }

  get(functionId: string): Buffer | undefined {
    const body = this.bodies.get(functionId);
    if (body === undefined) return undefined;
    this.bodies.delete(functionId);
    this.bodies.set(functionId, body);
    return body;
  }

  add(functionId: string, body: Buffer): void {
    if (!this.bodies.has(functionId)) this.bytes += body.length;
    this.bodies.set(functionId, body);
    for (const [oldest, { length }] of this.bodies) {
      if (this.bytes <= this.maxBytes || oldest === functionId) break;
      this.bodies.delete(oldest);
      this.bytes -= length;
    }
  }
}
