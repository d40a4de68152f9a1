import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below the range that operating systems give to outgoing connections (32768 up on Linux, 49152 up elsewhere): a server that is
 * restarted on its port must not find it taken by somebody's outgoing connection.
 */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;
const MAX_TRIES = 200;

/** A port nobody listens on at this moment. Whoever uses it should be ready to try another: it is not reserved. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const port = randomInt(FIRST_PORT, LAST_PORT);
    if (await portIsFree(port, host)) return port;
  }
  throw new Error(`No free port found from ${FIRST_PORT} to ${LAST_PORT} on ${host}.`);
}

export function portIsFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false);
      else reject(error);
    });
    server.listen({ port, host, exclusive: true }, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}
