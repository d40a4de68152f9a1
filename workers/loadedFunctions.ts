/** Which functions one process has been sent, by the index that tasks name them with. */
import { forgetFrame, functionFrame } from './frames.js';

/** Functions a process keeps loaded; the least recently used is forgotten beyond that. */
const LOADED_FUNCTIONS = 512;

export class LoadedFunctions {
  private nextIndex = 1;
  /** Least recently used first. */
  private readonly indexes = new Map<string, number>();
  private newest = '';

  constructor(private readonly token: number) {}

  /** The function's index; adds to `frames` what the process must be told before a task that names it. */
  index(functionId: string, body: Buffer, frames: Buffer[]): number {
    const known = this.indexes.get(functionId);
    if (known !== undefined && functionId === this.newest) return known;
    const index = known ?? this.nextIndex++;
    if (known === undefined) frames.push(...functionFrame(this.token, index, body));
    else this.indexes.delete(functionId);
    this.indexes.set(functionId, index);
    this.newest = functionId;
    if (this.indexes.size > LOADED_FUNCTIONS) this.forgetOldest(frames);
    return index;
  }

  private forgetOldest(frames: Buffer[]): void {
    for (const [functionId, index] of this.indexes) {
      // Frames are handled in order, so tasks for it that were sent before still find it.
      frames.push(...forgetFrame(this.token, index));
      this.indexes.delete(functionId);
      return;
    }
  }
}
