/** Who an event happens to: it waits while that is paused, and never happens once that is dead. */
export interface Owner {
  readonly alive: boolean;
  readonly paused: boolean;
  /** Takes an event that has become due while paused. */
  defer(event: TimelineEvent): void;
}

export interface TimelineEvent {
  atMs: number;
  /** Breaks ties: what was scheduled first happens first. */
  order: number;
  readonly action: () => void;
  readonly owner: Owner | undefined;
  cancelled: boolean;
}

/** Virtual time: a heap of events, which happen in time order, one for each `step`. */
export class Timeline {
  private readonly heap: TimelineEvent[] = [];
  private orders = 0;
  nowMs = 0;

  schedule(delayMs: number, action: () => void, owner?: Owner): TimelineEvent {
    const atMs = this.nowMs + Math.max(0, delayMs);
    const event: TimelineEvent = { atMs, order: this.orders++, action, owner, cancelled: false };
    this.insert(event);
    return event;
  }

  /** Puts an event that was deferred back, to happen now. */
  resume(event: TimelineEvent): void {
    event.atMs = this.nowMs;
    event.order = this.orders++;
    this.insert(event);
  }

  /** Lets the next event happen; false when there is none. */
  step(): boolean {
    for (;;) {
      const event = this.removeFirst();
      if (!event) return false;
      if (event.cancelled || event.owner?.alive === false) continue;
      this.nowMs = Math.max(this.nowMs, event.atMs);
      if (event.owner?.paused === true) {
        event.owner.defer(event);
        continue;
      }
      event.action();
      return true;
    }
  }

  private insert(event: TimelineEvent): void {
    const { heap } = this;
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as TimelineEvent;
      if (isBefore(above, event)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = event;
  }

  private removeFirst(): TimelineEvent | undefined {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (!last || heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as TimelineEvent, heap[child] as TimelineEvent)) child++;
      if (isBefore(last, heap[child] as TimelineEvent)) break;
      heap[index] = heap[child] as TimelineEvent;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

const isBefore = (a: TimelineEvent, b: TimelineEvent): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
