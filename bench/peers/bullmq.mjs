/**
 * BullMQ with functions in JavaScript, in the process of its worker: what a queue on Redis costs that runs nothing. Same protocol and
 * questions as `python/questions.py`. Started in the folder that BullMQ is installed in.
 */
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const { Queue, QueueEvents, Worker } = createRequire(`${process.cwd()}/`)('bullmq');
const SLOTS = 2;
const SUBMIT_BATCH = 500;

const { hostname, port } = new URL(process.env.PEER_REDIS_URL);
const connection = { host: hostname, port: Number(port) };
const functions = {
  noop: (value) => value,
  nap: (seconds) => sleep(seconds * 1000, seconds),
  echo: (data) => data,
};
const queue = new Queue('bench', { connection });
const worker = new Worker('bench', async ({ name, data }) => functions[name](data), { connection, concurrency: SLOTS });
const events = new QueueEvents('bench', { connection });
await Promise.all([queue.waitUntilReady(), worker.waitUntilReady(), events.waitUntilReady()]);

/** Submits in batches, as its manual advises, and fetches all results by its events, as another process would. */
async function runAll(name, values) {
  const ended = [];
  for (let from = 0; from < values.length; from += SUBMIT_BATCH) {
    const jobs = values.slice(from, from + SUBMIT_BATCH).map((data) => ({ name, data }));
    for (const job of await queue.addBulk(jobs)) ended.push(job.waitUntilFinished(events));
  }
  return Promise.all(ended);
}

const answer = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const seconds = async (run) => {
  const begin = performance.now();
  await run();
  return (performance.now() - begin) / 1000;
};

const questions = {
  throughput: async ({ tasks }) => {
    const cpu = process.cpuUsage();
    const values = Array.from({ length: tasks }, (_, index) => index);
    const took = await seconds(() => runAll('noop', values));
    const { user, system } = process.cpuUsage(cpu);
    return { seconds: took, cpu_seconds: (user + system) / 1e6 };
  },
  round_trip: async ({ count }) => {
    const trips = [];
    for (let trip = 0; trip < count; trip++) trips.push(await seconds(() => runAll('noop', [trip])));
    return trips;
  },
  naps: ({ count, seconds: nap }) => seconds(() => runAll('nap', new Array(count).fill(nap))),
  large: ({ count, size }) => seconds(() => runAll('echo', new Array(count).fill('x'.repeat(size)))),
};

answer({ ok: 'ready' });
for await (const line of createInterface({ input: process.stdin })) {
  const { ask, ...parameters } = JSON.parse(line);
  try {
    answer({ ok: await questions[ask](parameters) });
  } catch (error) {
    answer({ error: String(error) });
  }
}
await Promise.all([worker.close(), events.close(), queue.close()]);
