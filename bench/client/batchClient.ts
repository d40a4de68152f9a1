import { Agent, type IncomingMessage, request } from 'node:http';
import { pack } from '../../bus/packing.js';
import { HttpConnection } from './httpConnection.js';

const MSGPACK = { 'content-type': 'application/x-msgpack' };
/** Enough that the API always has a request to work on while another one's answer travels. */
const SUBMITTERS = 2;
const LENGTH_BYTES = 4;

export interface Batch {
  readonly functionId: string;
  /** The pickled arguments of every task. */
  readonly payload: Buffer;
  readonly tasks: number;
  /** Tasks of one request. Default 500. */
  readonly requestTasks?: number;
  /** Sent with each request. */
  readonly apiKey?: string;
}

export interface BatchTimes {
  /** From before the first byte was sent until the last result was here. */
  readonly seconds: number;
  /** When each result was here, ms since the start; in the order in which they came. */
  readonly arrivalsMs: readonly number[];
}

/**
 * The bare-bones client: sends prepared bytes and counts results without looking into them, so that as much as can be of what is
 * measured is the platform. Groups are submitted over `SUBMITTERS` connections and read from one stream, as a real client would.
 */
export async function runBatch(apiUrl: string, batch: Batch): Promise<BatchTimes> {
  const agent = new Agent({ keepAlive: true, maxSockets: SUBMITTERS + 1 });
  try {
    const beganAt = performance.now();
    const headers = batch.apiKey === undefined ? {} : { authorization: `Bearer ${batch.apiKey}` };
    const api: Api = { url: apiUrl, agent, headers };
    const groupId = await createGroup(api);
    const arrivalsMs: number[] = [];
    const results = readResults(api, groupId, batch.tasks, (count) => {
      const now = performance.now() - beganAt;
      for (let arrived = 0; arrived < count; arrived++) arrivalsMs.push(now);
    });
    await Promise.all([submitAll(api, groupId, batch), results]);
    return { seconds: (performance.now() - beganAt) / 1000, arrivalsMs };
  } finally {
    agent.destroy();
  }
}

interface Api {
  readonly url: string;
  readonly agent: Agent;
  readonly headers: Readonly<Record<string, string>>;
}

async function createGroup({ url, headers }: Api): Promise<string> {
  const connection = await HttpConnection.open(url);
  const { group_id } = JSON.parse((await connection.post('/groups', '{}', headers)).toString()) as { group_id: string };
  connection.close();
  return group_id;
}

async function submitAll(api: Api, groupId: string, batch: Batch): Promise<void> {
  const { tasks, requestTasks = 500 } = batch;
  let left = tasks;
  const whole = tasksBody(batch, groupId, Math.min(requestTasks, tasks));
  const submitter = async (): Promise<void> => {
    while (left > 0) {
      const count = Math.min(requestTasks, left);
      left -= count;
      await postTasks(api, count === requestTasks ? whole : tasksBody(batch, groupId, count));
    }
  };
  await Promise.all(Array.from({ length: SUBMITTERS }, submitter));
}

const tasksBody = ({ functionId, payload }: Batch, groupId: string, count: number): Buffer =>
  pack({ function_id: functionId, group_id: groupId, payloads: Array.from({ length: count }, () => payload) });

function postTasks({ url, agent, headers: own }: Api, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { ...own, ...MSGPACK, 'content-length': body.length };
    const call = request(`${url}/tasks`, { method: 'POST', agent, headers }, (response) => {
      mustBeOk(response, reject);
      response.resume().once('end', resolve);
    });
    call.once('error', reject).end(body);
  });
}

/** Resolves when `expected` results have come. Frames are counted by their heads alone. */
function readResults(
  { url, agent, headers }: Api,
  groupId: string,
  expected: number,
  onResults: (count: number) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = 0;
    let rest: Buffer = Buffer.alloc(0);
    const path = `/groups/${groupId}/results?format=msgpack&follow=true`;
    const call = request(`${url}${path}`, { agent, headers }, (response) => {
      mustBeOk(response, reject);
      response.on('data', (data: Buffer) => {
        rest = rest.length === 0 ? data : Buffer.concat([rest, data]);
        let at = 0;
        let count = 0;
        while (rest.length >= at + LENGTH_BYTES) {
          const end = at + LENGTH_BYTES + rest.readUInt32LE(at);
          if (rest.length < end) break;
          count += arrayLength(rest, at + LENGTH_BYTES);
          at = end;
        }
        rest = rest.subarray(at);
        if (count > 0) onResults(count);
        received += count;
        if (received < expected) return;
        resolve();
        response.destroy();
      });
      response.once('error', reject);
      response.once('end', () => {
        reject(new Error(`the stream ended after ${received} of ${expected} results`));
      });
    });
    call.once('error', reject).end();
  });
}

/** Of a MessagePack array; 0 for what is none: heartbeats are maps. */
function arrayLength(bytes: Buffer, at: number): number {
  const head = bytes[at] ?? 0;
  if (head >= 0x90 && head <= 0x9f) return head & 0x0f;
  if (head === 0xdc) return bytes.readUInt16BE(at + 1);
  return head === 0xdd ? bytes.readUInt32BE(at + 1) : 0;
}

function mustBeOk(response: IncomingMessage, reject: (error: Error) => void): void {
  if (response.statusCode === 200) return;
  const chunks: Buffer[] = [];
  response.on('data', (chunk: Buffer) => chunks.push(chunk));
  response.once('end', () => {
    reject(new Error(`answered ${String(response.statusCode)}: ${Buffer.concat(chunks).toString('utf8', 0, 300)}`));
  });
}
