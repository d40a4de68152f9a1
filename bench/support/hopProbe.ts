/**
 * Loaded into a process of the platform by `NODE_OPTIONS=--import=...`: notes when a task passes, by the clock that all processes of the
 * machine share. SIGUSR2 begins anew, a second one writes what was noted to `MPCSFAAS_PROFILES`/<pid>.json.
 */
import { writeFileSync } from 'node:fs';
import { Server, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { ClaimLoop } from '../../actors/claimLoop.js';
import { SettledTasks } from '../../api/settledTasks.js';
import { NatsBus } from '../../bus/natsBus.js';
import { RedisTaskStore } from '../../bus/redis/redisTaskStore.js';
import { PullRequestBus, PullRouterBus } from '../../bus/zeromq/pullBus.js';
import { PushDealerBus, PushRouterBus } from '../../bus/zeromq/pushBus.js';
import { Receiver } from '../../bus/zeromq/wire.js';
import { PythonProcess } from '../../workers/pythonProcess.js';

/** One station that a task has passed: which, and when, us. */
export type Passage = [station: string, atUs: number];

let passages: Passage[] = [];
let running = false;

function note(station: string): void {
  if (running) passages.push([station, Number(process.hrtime.bigint() / 1000n)]);
}

type Method = (...args: unknown[]) => unknown;

/** Notes each call of a method, private ones too, as `before` says, and its end as `after` says, where they say anything. */
function watch(
  owner: object,
  name: string,
  before: (args: unknown[]) => string | undefined,
  after?: (answer: unknown) => string | undefined,
): void {
  const methods = owner as Record<string, Method>;
  const method = methods[name] as Method;
  methods[name] = function (this: unknown, ...args: unknown[]): unknown {
    const station = before(args);
    if (station !== undefined) note(station);
    const answer = method.apply(this, args);
    if (after && answer instanceof Promise) {
      void answer.then((value: unknown) => {
        const end = after(value);
        if (end !== undefined) note(end);
      });
    }
    return answer;
  };
}

const typeOf = (message: unknown): string => (message as { type: string }).type;

const store = RedisTaskStore.prototype;
watch(
  store,
  'submit',
  () => 'submit',
  () => 'submitted',
);
watch(
  store,
  'claim',
  () => 'claim',
  (claim) => ((claim as { claimed: unknown[] }).claimed.length > 0 ? 'claimed' : 'nothing claimed'),
);
watch(
  store,
  'settle',
  () => 'settle',
  () => 'settled',
);
watch(ClaimLoop.prototype, 'take', ([given]) =>
  (given as { claim: { claimed: unknown[] } }).claim.claimed.length > 0 ? 'taken' : undefined,
);
watch(SettledTasks.prototype, 'onEnded', () => 'hear ended');
watch(NatsBus.prototype, 'send', ([topic]) => `say ${String(topic)}`);
watch(NatsBus.prototype, 'receive', ([message]) => `hear ${(message as { subject: string }).subject}`);
for (const bus of [PushRouterBus, PushDealerBus, PullRouterBus, PullRequestBus])
  watch(bus.prototype, 'send', ([, message]) => `send ${typeOf(message)}`);
watch(Receiver.prototype, 'listen', (args) => {
  const handler = args[0] as Method;
  args[0] = (message: unknown, from: unknown): void => {
    note(`receive ${typeOf(message)}`);
    handler(message, from);
  };
  return undefined;
});
watch(PythonProcess.prototype, 'flush', () => 'to Python');
watch(PythonProcess.prototype, 'received', () => 'from Python');
watch(Server.prototype, 'emit', ([event]) => (event === 'request' ? 'request' : undefined));
watch(ServerResponse.prototype, 'end', () => 'answer');

process.on('SIGUSR2', () => {
  running = !running;
  if (running) passages = [];
  else
    writeFileSync(join(process.env['MPCSFAAS_PROFILES'] ?? '.', `${process.pid}.json`), JSON.stringify({ passages }));
});
