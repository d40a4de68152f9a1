import { HttpConnection } from './httpConnection.js';

const WAIT_SECONDS = 30;

/** One task in one request: POST /execute_function that waits for the result. @throws unless it COMPLETED */
export async function runOne(connection: HttpConnection, body: string): Promise<void> {
  const answer = await connection.post(`/execute_function?wait=${WAIT_SECONDS}`, body);
  if (!answer.includes('"COMPLETED"')) throw new Error(`the task did not complete: ${answer.toString('utf8', 0, 300)}`);
}

export interface SingleSubmits {
  /** Tasks per second. */
  readonly rate: number;
  readonly tripsMs: readonly number[];
}

/** `connections` clients, each of which submits its next task when it has the result of the last, for `seconds`. */
export async function singleSubmits(
  apiUrl: string,
  options: { functionId: string; payload: string; connections: number; seconds: number },
): Promise<SingleSubmits> {
  const body = JSON.stringify({ function_id: options.functionId, payload: options.payload });
  const connections = await Promise.all(Array.from({ length: options.connections }, () => HttpConnection.open(apiUrl)));
  const tripsMs: number[] = [];
  const beganAt = performance.now();
  const deadline = beganAt + options.seconds * 1000;
  try {
    await Promise.all(
      connections.map(async (connection) => {
        for (let begin = performance.now(); begin < deadline; begin = performance.now()) {
          await runOne(connection, body);
          tripsMs.push(performance.now() - begin);
        }
      }),
    );
    return { rate: (tripsMs.length / (performance.now() - beganAt)) * 1000, tripsMs };
  } finally {
    for (const connection of connections) connection.close();
  }
}

/** Until V8 has compiled for speed what single tasks need, which takes some thousands of them: see the report. */
const WARM_UP_TASKS = 8_000;
/** Of these the last are trips one after the other, as those that are measured; the first, a few at a time, are sooner done. */
const WARM_UP_TRIPS = 1_000;
const WARM_UP_CONNECTIONS = 4;

/** @param scale of the usual number of tasks */
export async function warmUpForTrips(
  apiUrl: string,
  task: { functionId: string; payload: string },
  scale = 1,
): Promise<void> {
  const trips = (count: number) => roundTrips(apiUrl, { ...task, count: Math.ceil(count * scale) });
  const each = (WARM_UP_TASKS - WARM_UP_TRIPS) / WARM_UP_CONNECTIONS;
  await Promise.all(Array.from({ length: WARM_UP_CONNECTIONS }, () => trips(each)));
  await trips(WARM_UP_TRIPS);
}

/** Round trips one after the other over one connection, ms each. */
export async function roundTrips(
  apiUrl: string,
  options: { functionId: string; payload: string; count: number },
): Promise<number[]> {
  const body = JSON.stringify({ function_id: options.functionId, payload: options.payload });
  const connection = await HttpConnection.open(apiUrl);
  try {
    const tripsMs: number[] = [];
    for (let trip = 0; trip < options.count; trip++) {
      const begin = performance.now();
      await runOne(connection, body);
      tripsMs.push(performance.now() - begin);
    }
    return tripsMs;
  } finally {
    connection.close();
  }
}
