/** A Redis sorted set, as far as the scripts use it. Sets here are small: it is sorted when it is read. */
export class SortedSet {
  private readonly scores = new Map<string, number>();

  get size(): number {
    return this.scores.size;
  }

  add(member: string, score: number): void {
    this.scores.set(member, score);
  }

  remove(member: string): void {
    this.scores.delete(member);
  }

  get lowest(): number | undefined {
    return this.size === 0 ? undefined : Math.min(...this.scores.values());
  }

  scoreOf(member: string): number | undefined {
    return this.scores.get(member);
  }

  capAt(highest: number): void {
    for (const [member, score] of this.scores) if (score > highest) this.scores.set(member, highest);
  }

  /** Members with a score up to `max`, by score, then by name, at most `limit`. */
  upTo(max: number, limit: number): string[] {
    const found: [member: string, score: number][] = [];
    for (const entry of this.scores) if (entry[1] <= max) found.push(entry);
    found.sort(([a, scoreA], [b, scoreB]) => scoreA - scoreB || (a < b ? -1 : 1));
    return found.slice(0, limit).map(([member]) => member);
  }
}
