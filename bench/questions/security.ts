import { readFileSync } from 'node:fs';
import { PythonClient } from '../../specs/support/python.js';
import { runBatch } from '../client/batchClient.js';
import { FUNCTIONS } from '../support/bed.js';
import { CpuShares, withOwnCpu } from '../support/cpuShares.js';
import { platformProcesses } from '../support/processes.js';
import type { Question } from '../support/question.js';
import { inTurn, rounds, tasksFor } from '../support/rounds.js';
import { type SecuredPlatform, startSecuredPlatform } from '../support/securedPlatform.js';
import { medianRatio, spread } from '../support/statistics.js';

const BUDGET_SECONDS = 45;
/** The standard platform has run for minutes: the other must be as hot before they are compared. */
const WARM_UP_TASKS = 60_000;
const CALIBRATION_TASKS = 4_000;

export const security: Question = {
  name: 'security',
  title: 'keys, CURVE and credentials against none of them',
  usualSeconds: 30,
  ask: async ({ bed, pace, say }) => {
    const payload = await bed.pickle('5');
    const secured = await startSecuredPlatform();
    try {
      const { apiUrl, apiKey } = secured;
      const functionId = await registerNoop(secured);
      const open = async (tasks: number): Promise<number> =>
        tasks / (await runBatch(bed.platform.apiUrl, { functionId: bed.functionIds.noop, payload, tasks })).seconds;
      const closed = async (tasks: number): Promise<number> =>
        tasks / (await runBatch(apiUrl, { functionId, payload, tasks, apiKey })).seconds;

      await closed(Math.round(WARM_UP_TASKS * Math.max(pace.scale, 0.05)));
      const tasks = tasksFor(await open(CALIBRATION_TASKS), pace.secondsPerMeasurement);
      const rates = { open: [] as number[], closed: [] as number[] };
      const shares = { open: new CpuShares(), closed: new CpuShares() };
      const both = [
        { name: 'open', run: open, processes: () => platformProcesses(bed.platform) },
        { name: 'closed', run: closed, processes: () => secured.processes() },
      ] as const;
      const done = await rounds(pace.rounds, BUDGET_SECONDS * pace.patience, async (index) => {
        say(`security, round ${index + 1}`);
        for (const { name, run, processes } of inTurn(both, index)) {
          await shares[name].during(processes, () =>
            withOwnCpu(async () => {
              rates[name].push(await run(tasks));
              return tasks;
            }),
          );
        }
      });
      const ratio = medianRatio(rates.closed, rates.open);
      return {
        tables: [
          {
            title: 'No-op tasks with security on, bare-bones client',
            columns: ['', 'tasks/s', 'x open', 'CPU us/task'],
            rows: [
              ['open, on loopback', spread(rates.open), '1', shares.open.totalUs],
              ['as mpcsfaas init makes it', spread(rates.closed), ratio, shares.closed.totalUs],
            ],
            notes: [
              `${done} rounds of ${tasks} tasks by turns; both with the sandbox \`process\``,
              'security: an API key with each request, CURVE between dispatcher and worker, a user for each actor in Redis and NATS',
            ],
          },
        ],
        figures: { 'security.toOpen': ratio },
      };
    } finally {
      await secured.stop();
    }
  },
};

async function registerNoop({ apiUrl, apiKey }: SecuredPlatform): Promise<string> {
  const python = new PythonClient();
  try {
    const payload = await python.pickleFunction(readFileSync(FUNCTIONS, 'utf8'), 'noop');
    const answer = await fetch(`${apiUrl}/register_function`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${apiKey}` },
      body: JSON.stringify({ name: 'noop', payload }),
    });
    if (!answer.ok) throw new Error(`/register_function answers ${answer.status}: ${await answer.text()}`);
    return ((await answer.json()) as { function_id: string }).function_id;
  } finally {
    await python.stop();
  }
}
