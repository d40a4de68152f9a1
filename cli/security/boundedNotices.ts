const WINDOW_MS = 60_000;
const MAX_PER_WINDOW = 10;

/** Says things that strangers can cause: at most ten in a minute, and then how many more there were. */
export class BoundedNotices {
  private said = 0;
  private unsaid = 0;
  private windowEnds: NodeJS.Timeout | undefined;

  constructor(private readonly say: (what: string) => void) {}

  notice(what: string): void {
    this.windowEnds ??= setTimeout(() => {
      this.endWindow();
    }, WINDOW_MS).unref();
    if (this.said < MAX_PER_WINDOW) {
      this.said++;
      this.say(what);
    } else {
      this.unsaid++;
    }
  }

  stop(): void {
    clearTimeout(this.windowEnds);
    this.endWindow();
  }

  private endWindow(): void {
    if (this.unsaid > 0) this.say(`and ${this.unsaid} more within a minute`);
    this.said = 0;
    this.unsaid = 0;
    this.windowEnds = undefined;
  }
}
