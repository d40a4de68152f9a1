import { connect, type Socket } from 'node:net';
import { once } from 'node:events';

const HEADERS_END = Buffer.from('\r\n\r\n');
const CONTENT_LENGTH = /\r\ncontent-length: (\d+)/i;
const NO_BYTES = Buffer.alloc(0);

/**
 * The least that speaks HTTP/1.1: one kept connection, one request at a time, answers with a content-length. A full client would cost
 * more than the server that is measured.
 */
export class HttpConnection {
  private received = NO_BYTES;
  private waiting: { resolve: (body: Buffer) => void; reject: (error: Error) => void } | undefined;

  private constructor(private readonly socket: Socket) {
    socket.on('data', (data) => {
      this.received = this.received.length === 0 ? data : Buffer.concat([this.received, data]);
      this.answer();
    });
    socket.on('error', (error) => {
      this.fail(error);
    });
    socket.on('close', () => {
      this.fail(new Error('the server has closed the connection'));
    });
  }

  static async open(url: string): Promise<HttpConnection> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, 'connect');
    return new HttpConnection(socket);
  }

  post(path: string, body: string, headers: Readonly<Record<string, string>> = {}): Promise<Buffer> {
    const more = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `POST ${path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n${more.join('')}`;
    return this.exchange(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  }

  get(path: string): Promise<Buffer> {
    return this.exchange(`GET ${path} HTTP/1.1\r\nhost: bench\r\n\r\n`);
  }

  close(): void {
    this.socket.destroy();
  }

  /** The body of the answer. @throws when it is not a 200 */
  private exchange(request: string): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.socket.write(request);
    });
  }

  private answer(): void {
    const headLength = this.received.indexOf(HEADERS_END);
    if (headLength < 0 || !this.waiting) return;
    const head = this.received.toString('latin1', 0, headLength);
    const bodyStart = headLength + HEADERS_END.length;
    const end = bodyStart + Number(CONTENT_LENGTH.exec(head)?.[1] ?? 0);
    if (this.received.length < end) return;
    const body = this.received.subarray(bodyStart, end);
    this.received = this.received.length === end ? NO_BYTES : this.received.subarray(end);
    const { resolve, reject } = this.waiting;
    this.waiting = undefined;
    if (head.startsWith('HTTP/1.1 200')) resolve(body);
    else reject(new Error(`${head.slice(0, head.indexOf('\r\n'))}: ${body.toString('utf8', 0, 300)}`));
  }

  private fail(error: Error): void {
    this.waiting?.reject(error);
    this.waiting = undefined;
  }
}
