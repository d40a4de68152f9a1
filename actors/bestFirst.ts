interface Scored<T> {
  item: T;
  score: number;
}

/**
 * Items by a score that can only fall while one chooses among them, highest first: a binary heap that looks at a score again when
 * its item has come to the top. Choosing k times among n costs n + k log n, not k n.
 */
export class BestFirst<T> {
  private readonly heap: Scored<T>[];

  /** @param scoreOf -Infinity for what must not be chosen any more */
  constructor(
    items: readonly T[],
    private readonly scoreOf: (item: T) => number,
  ) {
    this.heap = items.map((item) => ({ item, score: scoreOf(item) }));
    for (let at = (this.heap.length >> 1) - 1; at >= 0; at--) this.sink(at);
  }

  /** The best item as things are now; undefined when none can be chosen. */
  best(): T | undefined {
    for (;;) {
      const top = this.heap[0];
      if (top === undefined || top.score === -Infinity) return undefined;
      const score = this.scoreOf(top.item);
      if (score === top.score) return top.item;
      top.score = score;
      this.sink(0);
    }
  }

  private sink(from: number): void {
    const { heap } = this;
    for (let at = from; ;) {
      const left = 2 * at + 1;
      let highest = at;
      for (let child = left; child <= left + 1 && child < heap.length; child++) {
        if (this.score(child) > this.score(highest)) highest = child;
      }
      if (highest === at) return;
      const lower = heap[at] as Scored<T>;
      heap[at] = heap[highest] as Scored<T>;
      heap[highest] = lower;
      at = highest;
    }
  }

  private score(at: number): number {
    return this.heap[at]?.score ?? -Infinity;
  }
}
