import { createHash } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StartError } from './startError.js';

/** Longest path of a Unix socket that all systems take. */
const MAX_SOCKET_PATH = 100;

/**
 * Makes this process the only one that uses a directory, until the returned function is called or the process dies, however it
 * dies. It is a listening socket rather than a file with a process id: a dead process never holds one, and no later process
 * can be mistaken for it.
 * @throws StartError that says who has it.
 */
export async function lockDirectory(directory: string, holder: string): Promise<() => Promise<void>> {
  mkdirSync(directory, { recursive: true });
  const path = socketPath(directory);
  const other = await askHolder(path);
  if (other !== undefined)
    throw new StartError(`${directory} is in use by ${other}; stop it, or choose another DATA_DIR.`);
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end(`${holder} (process ${process.pid})`);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  // Holding the lock alone is no reason for a process to live on.
  server.unref();
  return () =>
    new Promise((resolve) => {
      server.close(() => {
        resolve();
      });
    });
}

function socketPath(directory: string): string {
  const path = join(directory, 'lock.sock');
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) return path;
  const digest = createHash('sha256').update(directory).digest('hex').slice(0, 16);
  return join(tmpdir(), `mpcsfaas-${digest}.sock`);
}

/** What a living holder says of itself, or undefined when there is none. */
function askHolder(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(path);
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => (answer += text));
    socket.once('end', () => {
      resolve(answer);
    });
    socket.once('error', () => {
      resolve(undefined);
    });
  });
}
