import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { DispatcherMessage, TaskResult, WorkerMessage } from '../../../bus/messages.js';

/** Writes bytes to a port as a stranger would, waits until they are taken or refused, and hangs up. */
export async function writeRaw(endpoint: string, ...parts: (string | Buffer)[]): Promise<void> {
  const { hostname, port } = new URL(endpoint);
  const socket: Socket = connect({ host: hostname, port: Number(port) });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.resume();
  for (const part of parts) {
    socket.write(part);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  socket.destroy();
}

export const beat = (lastRun: number): WorkerMessage => ({ type: 'heartbeat', lastRun, running: 0, queued: 0 });
export const hello = (name: string): WorkerMessage & { type: 'hello' } => ({
  type: 'hello',
  name,
  instance: `instance of ${name}`,
  slots: 1,
  pid: 1,
  pythonVersion: '3.11.2',
  pythonImplementation: 'cpython',
  dillVersion: '0.4.0',
  labels: [],
  holding: [],
  lastRun: 0,
  functions: [],
  connection: 1,
});
export const takeBack = (limit: number): DispatcherMessage => ({ type: 'takeBack', limit });

export function result(more: Partial<TaskResult> = {}): TaskResult {
  return {
    taskId: '5c9e0a51-0000-4000-8000-000000000000',
    fence: '1:0123456789abcdef',
    outcome: 'completed',
    payload: Buffer.from([0x80, 0x04, 0x4b, 0x01, 0x2e]),
    startedAtMs: 1_700_000_000_123,
    runTimeUs: 1_234,
    peakMemoryKib: 20_480,
    output: Buffer.alloc(0),
    outputTruncated: false,
    ...more,
  };
}
