import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A function that runs until its gate is open; with the gate '' no time at all. */
export const HOLD = `def f(gate):
    import os, time
    while gate and not os.path.exists(gate):
        time.sleep(0.02)
`;

/** Keeps tasks running for as long as a spec looks at them, however long that takes on a busy machine. */
export class Gate {
  private readonly directory = mkdtempSync(join(tmpdir(), 'gate-'));
  /** What the function is given. */
  readonly path = join(this.directory, 'open');

  open(): void {
    writeFileSync(this.path, '');
  }

  /** To be called when nothing waits for it any more. */
  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
