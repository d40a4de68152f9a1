import { Readable } from 'node:stream';
import type { Start } from './frame.js';
import type { Sampler, Sighting } from './sampler.js';

/** Silence after which a comment is sent, so that neither side takes the connection for dead. */
const SIGN_OF_LIFE_MS = 10_000;

/**
 * The server-sent events of one browser: `start`, then `frame`s as the sampler sees them. A browser that does not read gets none, and
 * costs no memory: what it missed is in the next one, but for points of the charts, of which it is then owed the history.
 */
export class EventStream extends Readable {
  private readonly stopWatching: () => void;
  private readonly timer: NodeJS.Timeout;
  private reading = false;
  private missedPoint = false;

  constructor(
    sampler: Pick<Sampler, 'watch' | 'points'>,
    private readonly start: () => Start,
  ) {
    super({ highWaterMark: 1 });
    this.say('start', start());
    this.stopWatching = sampler.watch((sighting) => {
      this.tell(sighting);
    });
    this.timer = setInterval(() => this.reading && this.write(':\n\n'), SIGN_OF_LIFE_MS);
    this.timer.unref();
  }

  override _read(): void {
    this.reading = true;
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.stopWatching();
    clearInterval(this.timer);
    callback(error);
  }

  private tell(sighting: Sighting): void {
    if (!this.reading) {
      this.missedPoint ||= 'frame' in sighting && sighting.frame.point !== undefined;
      return;
    }
    if (this.missedPoint) {
      this.missedPoint = false;
      this.say('start', this.start());
    } else if ('frame' in sighting) this.say('frame', sighting.frame);
    else this.say('trouble', { detail: sentenceOf(sighting.error) });
  }

  private say(event: 'start' | 'frame' | 'trouble', data: object): void {
    this.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  private write(text: string): void {
    this.reading = this.push(text);
  }
}

const sentenceOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
