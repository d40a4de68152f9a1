const KEPT_LINES = 5_000;

/** What happened, in order: a hash over all of it, and the last lines. Two runs are the same when their hashes are. */
export class Trace {
  private readonly lines: string[] = [];
  private low = 0x811c9dc5;
  private high = 0x01000193;
  count = 0;

  constructor(private readonly nowMs: () => number) {}

  add(text: string): void {
    const line = `${this.nowMs().toFixed(1)} ${text}`;
    this.mix(line);
    this.lines[this.count++ % KEPT_LINES] = line;
  }

  get hash(): string {
    return (this.high >>> 0).toString(16).padStart(8, '0') + (this.low >>> 0).toString(16).padStart(8, '0');
  }

  last(count: number): string[] {
    const kept = Math.min(count, this.count, KEPT_LINES);
    return Array.from({ length: kept }, (_, index) => this.lines[(this.count - kept + index) % KEPT_LINES] as string);
  }

  /** FNV-1a, and a second multiplicative hash beside it. */
  private mix(line: string): void {
    let { low, high } = this;
    for (let i = 0; i < line.length; i++) {
      const code = line.charCodeAt(i);
      low = Math.imul(low ^ code, 0x01000193);
      high = Math.imul(high ^ code, 0x85ebca6b) + 0x9e3779b9;
    }
    this.low = low;
    this.high = high | 0;
  }
}
