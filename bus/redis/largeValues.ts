import { Command, type Redis } from 'ioredis';
import type { Writable } from 'node:stream';
import { isUnknownScript, type Script } from './script.js';
import { ValueConnection } from './valueConnection.js';

/**
 * Arguments and results from this size on go around Lua, which hashes every byte of a string it is given: 1.3 ms per MiB, each
 * way (measured), in the one thread that everybody waits for.
 *
 * They are written by plain commands in one transaction with the script that refers to them, so that either both happen or
 * neither; and read by plain commands after the script that names them. Each lies in a field of its task's hash, and lives and
 * dies with it.
 */
export const LARGE_VALUE_BYTES = 32 * 1024;

export const isLarge = (value: Buffer): boolean => value.length >= LARGE_VALUE_BYTES;

/** Field of the arguments, when they are large; there is no field `args` then. */
export const LARGE_ARGUMENTS = 'large_args';

/**
 * Field of the result of one attempt, when it is large: what an attempt that has lost its lease writes replaces nothing, and what
 * comes a second time neither.
 */
export const largeResult = (fence: string): string => `large_result:${fence}`;

const NO_BYTES = Buffer.alloc(0);

export interface LargeValue {
  key: string;
  field: string;
  value: Buffer;
}

/** Writes its last argument, the value, as it is: ioredis would join it with the rest, which copies it. */
class WriteValue extends Command {
  constructor(
    key: string,
    field: string,
    private readonly value: Buffer,
  ) {
    super('hsetnx', [key, field]);
  }

  override toWritable(socket: Writable): string {
    const { key, field, value } = this;
    const parts = ['HSETNX', key, field].map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('');
    socket.write(`*4\r\n${parts}$${value.length}\r\n`);
    socket.write(value);
    return '\r\n';
  }

  private get key(): string {
    return this.args[0] as string;
  }

  private get field(): string {
    return this.args[1] as string;
  }
}

/** What is known of the server behind a connection, for as long as that lasts. */
interface Known {
  readonly scripts: Set<unknown>;
  /** For values, beside this one. */
  values?: ValueConnection;
}

const connections = new WeakMap<Redis, Known>();

function knownOf(redis: Redis): Known {
  const before = connections.get(redis);
  if (before) return before;
  const known: Known = { scripts: new Set() };
  connections.set(redis, known);
  redis.on('close', () => {
    known.scripts.clear();
    known.values?.end();
  });
  return known;
}

/**
 * Writes the values and runs the script that refers to them, both or neither; but when somebody has just made Redis forget its scripts, in two
 * steps, of which the second is the whole.
 * @throws what Redis answers to any of the commands
 */
export async function runStep<Reply>(
  redis: Redis,
  values: readonly LargeValue[],
  script: Script<Reply>,
  keys: string[],
  args: (string | Buffer | number)[],
): Promise<Reply> {
  if (values.length === 0) return script.run(redis, keys, args);
  const { scripts } = knownOf(redis);
  const run = (isWhole: boolean): Promise<unknown> =>
    inTransaction(redis, values, () => script.queue(redis, isWhole, keys, args));
  let answer = await run(!scripts.has(script));
  if (isUnknownScript(answer)) answer = await run(true);
  if (answer instanceof Error) throw answer;
  scripts.add(script);
  return answer as Reply;
}

/** Answers what the script does: a failure of its own as well. */
async function inTransaction(
  redis: Redis,
  values: readonly LargeValue[],
  queueScript: () => Promise<unknown>,
): Promise<unknown> {
  const { stream } = redis as unknown as { stream?: Writable };
  stream?.cork();
  // All in one turn of the event loop: what others send on this connection comes before or after.
  const queued: Promise<unknown>[] = [redis.call('MULTI')];
  for (const { key, field, value } of values) {
    const command = new WriteValue(key, field, value);
    void redis.sendCommand(command);
    queued.push(command.promise);
  }
  queued.push(queueScript());
  queued.push(redis.callBuffer('EXEC'));
  stream?.uncork();
  const answers = (await Promise.all(queued)).at(-1) as unknown[];
  const last = answers.pop();
  for (const answer of answers) if (answer instanceof Error) throw answer;
  return last;
}

/** The connection for values beside this one: made when one is first read, and gone with this one. */
function connectionFor(redis: Redis): ValueConnection | undefined {
  const known = knownOf(redis);
  if (known.values?.isGone === false) return known.values;
  if (redis.status !== 'ready' || redis.options.tls) return undefined;
  return (known.values = new ValueConnection(redis.options));
}

/**
 * Reads one field; nothing when the task has gone since the script named it.
 * @throws Error when Redis cannot be reached
 */
export async function readValue(redis: Redis, key: string, field: string): Promise<Buffer> {
  const connection = connectionFor(redis);
  const value = connection?.isReady ? connection.read(key, field) : redis.hgetBuffer(key, field);
  return (await value) ?? NO_BYTES;
}

/** Fills in what `claim.lua` has left out: null, two places after the task's id. */
export async function readLargeArguments(
  redis: Redis,
  taskPrefix: string,
  claimed: (Buffer | string | number | null)[],
): Promise<void> {
  const reads = claimed.map(async (field, index) => {
    if (field === null)
      claimed[index] = await readValue(redis, taskPrefix + String(claimed[index - 2]), LARGE_ARGUMENTS);
  });
  await Promise.all(reads);
}
