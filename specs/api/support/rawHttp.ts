import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** HTTP as strangers speak it: bytes on a socket, whether they are a request or not. */

export interface Exchange {
  /** Of the first answer; 0 when none came. */
  status: number;
  /** From the last byte that was written on. */
  ms: number;
  /** The server hung up, rather than the patience ending. */
  closed: boolean;
}

export interface ExchangeOptions {
  /** The longest to wait for an answer; 0 hangs up as soon as all is written. */
  patienceMs: number;
  /** Between two parts. */
  pauseMs?: number;
  /** Also after an answer waits until the server hangs up, or the patience ends. */
  untilClosed?: boolean;
  /** Reads nothing. */
  deaf?: boolean;
}

const STATUS = /^HTTP\/1\.1 (\d{3}) /;

/** Writes the parts on a connection of its own, as far as they are taken, and tells how it was answered. */
export async function exchange(
  port: number,
  parts: Iterable<Buffer>,
  { patienceMs, pauseMs = 0, untilClosed = false, deaf = false }: ExchangeOptions,
): Promise<Exchange> {
  const socket = connect(port, '127.0.0.1');
  let received = '';
  let closed = false;
  const ended = new Promise<void>((resolve) => {
    socket.on('error', () => undefined);
    if (deaf) socket.pause();
    else
      socket.on('data', (bytes) => {
        if (received.length < 1_000) received += bytes.toString('latin1');
        if (!untilClosed && STATUS.test(received)) resolve();
      });
    // A stranger of this kind hangs up when the server does.
    socket.on('end', () => socket.destroy());
    socket.on('close', () => {
      closed = true;
      resolve();
    });
  });
  const isOver = (): boolean => closed || (!untilClosed && STATUS.test(received));
  for (const part of parts) {
    if (isOver()) break;
    if (!socket.write(part) && !deaf) await Promise.race([once(socket, 'drain').catch(() => undefined), ended]);
    if (pauseMs > 0) await Promise.race([sleep(pauseMs), ended]);
  }
  const writtenMs = performance.now();
  if (patienceMs === 0) await Promise.race([flushed(socket), ended]);
  else await Promise.race([ended, sleep(patienceMs)]);
  const ms = performance.now() - writtenMs;
  socket.destroy();
  return { status: Number(STATUS.exec(received)?.[1] ?? 0), ms, closed };
}

function flushed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.write('', () => resolve()));
}

export function request(
  method: string,
  path: string,
  headers: Record<string, string>,
  body: Buffer | string = '',
): Buffer {
  const lines = Object.entries({ Host: 'x', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), Buffer.from(body)]);
}

export function post(path: string, body: Buffer | string, headers: Record<string, string> = {}): Buffer {
  const length = String(Buffer.byteLength(body));
  return request('POST', path, { 'Content-Type': 'application/json', 'Content-Length': length, ...headers }, body);
}

export interface Flood {
  connections: number;
  /** In all. */
  requests: number;
  /** Requests that one connection has under way. */
  depth: number;
  /** What to ask the how-manyth time, and the status it must be answered with. */
  ask: (number: number) => { bytes: Buffer; status: number };
}

export interface FloodOutcome {
  seconds: number;
  /** How often each status came. */
  statuses: Record<number, number>;
  /** Answers of another status than expected, or that never came. */
  wrong: number;
}

/** Asks over and over on connections that are kept. */
export async function flood(port: number, { connections, requests, depth, ask }: Flood): Promise<FloodOutcome> {
  const startMs = performance.now();
  const outcome: FloodOutcome = { seconds: 0, statuses: {}, wrong: 0 };
  let asked = 0;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect(port, '127.0.0.1');
      const expected: number[] = [];
      const askMore = (): void => {
        const together: Buffer[] = [];
        for (; expected.length < depth && asked < requests; asked++) {
          const { bytes, status } = ask(asked);
          expected.push(status);
          together.push(bytes);
        }
        if (together.length > 0) socket.write(Buffer.concat(together));
        if (expected.length === 0) socket.end();
      };
      const answers = new AnswerReader((status) => {
        outcome.statuses[status] = (outcome.statuses[status] ?? 0) + 1;
        if (expected.shift() !== status) outcome.wrong++;
      });
      socket.on('error', () => undefined);
      socket.on('data', (bytes) => {
        answers.read(bytes);
        askMore();
      });
      await once(socket, 'connect');
      askMore();
      await once(socket, 'close');
      outcome.wrong += expected.length;
    }),
  );
  outcome.wrong += requests - asked;
  outcome.seconds = (performance.now() - startMs) / 1_000;
  return outcome;
}

/** Takes apart answers that follow one another, each with a `content-length`. */
class AnswerReader {
  private text = '';
  private bodyLeft = 0;

  constructor(private readonly onAnswer: (status: number) => void) {}

  read(bytes: Buffer): void {
    this.text += bytes.toString('latin1');
    for (;;) {
      const skipped = Math.min(this.bodyLeft, this.text.length);
      this.text = this.text.slice(skipped);
      this.bodyLeft -= skipped;
      const end = this.text.indexOf('\r\n\r\n');
      if (this.bodyLeft > 0 || end < 0) return;
      const head = this.text.slice(0, end);
      this.text = this.text.slice(end + 4);
      this.bodyLeft = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
      this.onAnswer(Number(STATUS.exec(head)?.[1] ?? 0));
    }
  }
}

/** Byte by byte, after so many at once. */
export function* drops(bytes: Buffer, quick: number): Generator<Buffer> {
  if (quick > 0) yield bytes.subarray(0, quick);
  for (let at = quick; at < bytes.length; at++) yield bytes.subarray(at, at + 1);
}

/** As the chunks of a body whose end does not come. */
export function* chunks(bytes: Buffer): Generator<Buffer> {
  const size = 65_536;
  for (let at = 0; at < bytes.length; at += size) {
    yield Buffer.concat([Buffer.from(`${size.toString(16)}\r\n`), bytes.subarray(at, at + size), Buffer.from('\r\n')]);
  }
}
