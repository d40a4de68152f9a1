import { unpack } from 'msgpackr';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Line {
  index: number;
  task_id: string;
  status: string;
  result: string;
}

/** A client on a real socket that reads a stream of results, of any format. */
export class ResultReader {
  readonly lines: Line[] = [];
  readonly heartbeats: Record<string, unknown>[] = [];
  end: Record<string, unknown> | undefined;
  /** The last `id:` of an SSE stream. */
  lastEventId: string | undefined;
  bytes = 0;
  closed = false;
  private rest = Buffer.alloc(0);

  private constructor(
    readonly response: IncomingMessage,
    private readonly call: ClientRequest,
  ) {
    response.on('data', (chunk: Buffer) => this.receive(chunk));
    response.on('close', () => (this.closed = true));
    response.on('error', () => undefined);
  }

  static open(url: string, headers: Record<string, string> = {}, body?: unknown): Promise<ResultReader> {
    return new Promise((resolve, reject) => {
      const json = body === undefined ? {} : { 'content-type': 'application/json' };
      const options = { method: body === undefined ? 'GET' : 'POST', headers: { ...json, ...headers }, agent: false };
      const call = request(url, options, (response) => resolve(new ResultReader(response, call)));
      call.on('error', reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  get indexes(): number[] {
    return this.lines.map(({ index }) => index);
  }

  /** What a client would send as `have`. */
  get have(): string {
    return this.indexes.join(',');
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await sleep(2);
  }

  pause(): void {
    this.response.pause();
  }

  resume(): void {
    this.response.resume();
  }

  disconnect(): void {
    this.call.destroy();
  }

  private receive(chunk: Buffer): void {
    this.bytes += chunk.length;
    this.rest = Buffer.concat([this.rest, chunk]);
    const type = String(this.response.headers['content-type']);
    if (type.startsWith('application/x-ndjson')) this.take('\n', (line) => this.object(JSON.parse(line) as object));
    else if (type.startsWith('text/event-stream')) this.take('\n\n', (event) => this.event(event));
    else if (type.startsWith('application/x-msgpack-stream')) this.frames();
  }

  private take(separator: string, each: (text: string) => void): void {
    for (let at = this.rest.indexOf(separator); at >= 0; at = this.rest.indexOf(separator)) {
      const text = this.rest.subarray(0, at).toString();
      this.rest = this.rest.subarray(at + separator.length);
      each(text);
    }
  }

  private event(text: string): void {
    const fields = new Map(
      text.split('\n').map((line) => /^(\w+): ?(.*)$/.exec(line)!.slice(1, 3) as [string, string]),
    );
    const data = JSON.parse(fields.get('data')!) as object;
    const id = fields.get('id');
    if (id !== undefined) this.lastEventId = id;
    const event = fields.get('event')!;
    if (event === 'results') for (const one of data as object[]) this.object(one);
    else this.object({ [event]: data });
  }

  private frames(): void {
    while (this.rest.length >= 4 && this.rest.length >= 4 + this.rest.readUInt32LE(0)) {
      const end = 4 + this.rest.readUInt32LE(0);
      const value = unpack(this.rest.subarray(4, end)) as object;
      this.rest = this.rest.subarray(end);
      if (!Array.isArray(value)) this.object(value);
      else {
        for (const [index, task_id, status, result] of value as [number, string, string, Buffer][]) {
          this.object({ index, task_id, status, result: result.toString('base64') });
        }
      }
    }
  }

  private object(value: object): void {
    if ('task_id' in value) this.lines.push(value as Line);
    else if ('heartbeat' in value) this.heartbeats.push(value.heartbeat as Record<string, unknown>);
    else if ('end' in value) this.end = value.end as Record<string, unknown>;
    else throw new Error(`not a line of a stream: ${JSON.stringify(value)}`);
  }
}
