import { connect, type Socket } from 'node:net';
import type { RedisOptions } from 'ioredis';

/** Something was asked for, and nothing has come for so long: that takes the connection down. */
const TIMEOUT_MS = 5_000;
/** Between two tries to connect, at least. */
const PAUSE_MS = 1_000;
/** For what comes between values; what of a value comes with it is copied. */
const HEAD_BYTES = 16 * 1024;
const CARRIAGE_RETURN = 0x0d;
const END_OF_LINE_BYTES = 2;

interface Question {
  resolve: (value: Buffer | null) => void;
  reject: (error: Error) => void;
}

/**
 * Reads large fields of hashes over a connection of its own, each right into memory of its size. By the usual way a value comes as
 * pieces of 64 KiB in memory that is made for each, which are kept, and joined when the last of them is there: that costs twice the memory, a
 * copy, and the collecting of both.
 *
 * It speaks no more of Redis' protocol than that. Once it has ended, for whatever reason, it stays so.
 */
export class ValueConnection {
  private readonly socket: Socket;
  /** Of its greeting and of reads, in the order in which they were asked. */
  private readonly questions: Question[] = [];
  private readonly head = Buffer.allocUnsafeSlow(HEAD_BYTES);
  /** The beginning of a line whose end has not come. */
  private line = '';
  /** Being read, with the end of line behind it, and how much of it is there. */
  private value: Buffer | undefined;
  private filled = 0;
  /** The line feed of the line that has just been read is yet to come. */
  private owesFeed = false;
  private ready = false;
  private hasEnded = false;
  /** When something came last, or was asked for when nothing else was. */
  private heardAtMs = 0;
  private tryAgainAtMs = Infinity;

  /** @param options how another connection to the same server was made; without TLS */
  constructor(options: RedisOptions) {
    const onread = {
      buffer: () => this.room(),
      callback: (bytes: number, buffer: Uint8Array) => this.received(bytes, buffer),
    };
    const { path, host = '127.0.0.1', port = 6379 } = options;
    this.socket = connect({ ...(path ? { path } : { host, port }), onread });
    this.socket.setNoDelay(true);
    this.socket.setTimeout(TIMEOUT_MS, () => {
      if (this.questions.length > 0) this.end('it does not answer');
    });
    this.socket.on('error', (error) => this.end(error.message));
    this.socket.on('close', () => this.end('connection closed'));
    this.greet(options);
  }

  /** Whether it can be asked. */
  get isReady(): boolean {
    return this.ready && !this.hasEnded;
  }

  /** Whether it has ended, and another try is due. */
  get isGone(): boolean {
    return performance.now() > this.tryAgainAtMs;
  }

  /** @throws Error when it breaks, or Redis refuses the command. */
  read(key: string, field: string): Promise<Buffer | null> {
    return this.ask(['HGET', key, field]);
  }

  /** What has not been answered is refused. */
  end(why = 'closed'): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.tryAgainAtMs = performance.now() + PAUSE_MS;
    this.socket.destroy();
    for (const { reject } of this.questions.splice(0)) reject(new Error(`large values: ${why}`));
  }

  private greet({ username, password, db }: RedisOptions): void {
    const words: string[][] = [];
    if (password) words.push(['AUTH', ...(username ? [username] : []), password]);
    words.push(['SELECT', String(db ?? 0)]);
    void Promise.all(words.map((one) => this.ask(one))).then(
      () => (this.ready = true),
      (error: unknown) => this.end(String(error)),
    );
  }

  private ask(words: string[]): Promise<Buffer | null> {
    return new Promise((resolve, reject) => {
      const now = performance.now();
      if (this.questions.length === 0) this.heardAtMs = now;
      // What is sent counts as life to the socket, and may go nowhere: as long as somebody asks, it would see no silence.
      else if (now - this.heardAtMs > TIMEOUT_MS) this.end('it does not answer');
      if (this.hasEnded) throw new Error('large values: closed');
      this.questions.push({ resolve, reject });
      const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
      this.socket.write(`*${words.length}\r\n${parts.join('')}`);
    });
  }

  /** Where the next bytes are to be put. */
  private room(): Buffer {
    return this.value && !this.owesFeed ? this.value.subarray(this.filled) : this.head;
  }

  private received(bytes: number, buffer: Uint8Array): boolean {
    this.heardAtMs = performance.now();
    if (buffer !== this.head) this.fill(bytes);
    else for (let at = 0; at < bytes;) at = this.parse(at, bytes);
    return true;
  }

  /** Takes what there is of one line or value; returns where the next begins. */
  private parse(at: number, end: number): number {
    if (this.owesFeed) {
      this.owesFeed = false;
      return at + 1;
    }
    if (this.value) {
      const taken = this.head.copy(this.value, this.filled, at, end);
      this.fill(taken);
      return at + taken;
    }
    const lineEnd = this.head.subarray(0, end).indexOf(CARRIAGE_RETURN, at);
    this.line += this.head.toString('latin1', at, lineEnd < 0 ? end : lineEnd);
    if (lineEnd < 0) return end;
    this.owesFeed = true;
    this.answered(this.line);
    this.line = '';
    return lineEnd + 1;
  }

  private answered(line: string): void {
    const length = Number(line.slice(1));
    if (line.startsWith('$') && length >= 0) {
      this.value = Buffer.allocUnsafeSlow(length + END_OF_LINE_BYTES);
      this.filled = 0;
    } else if (line.startsWith('-')) {
      this.questions.shift()?.reject(new Error(line.slice(1)));
    } else {
      this.questions.shift()?.resolve(null);
    }
  }

  private fill(bytes: number): void {
    this.filled += bytes;
    const { value } = this;
    if (!value || this.filled < value.length) return;
    this.value = undefined;
    this.questions.shift()?.resolve(value.subarray(0, -END_OF_LINE_BYTES));
  }
}
