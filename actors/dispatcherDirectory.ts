import type { Clock } from './clock.js';

/** A dispatcher that has been silent for so long is no place to send workers to. */
const FORGOTTEN_MS = 10_000;

/** The other dispatchers of the platform, by their heartbeats: where workers can go when this one falls silent. */
export class DispatcherDirectory {
  private readonly others = new Map<string, { url: string; heardAtMs: number }>();

  constructor(private readonly clock: Clock) {}

  heard(id: string, url: string): void {
    this.others.set(id, { url, heardAtMs: this.clock.now() });
  }

  forget(id: string): void {
    this.others.delete(id);
  }

  urls(): string[] {
    const oldest = this.clock.now() - FORGOTTEN_MS;
    for (const [id, { heardAtMs }] of this.others) if (heardAtMs < oldest) this.others.delete(id);
    return [...this.others.values()].map(({ url }) => url);
  }
}
