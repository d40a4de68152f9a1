import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { PACKAGE_ROOT } from '../packageRoot.js';
import { type ScriptArgument, ScriptCall } from './scriptCall.js';

/** Lua files of `scripts/`, joined, sent whole only when the server does not have them (after a restart or SCRIPT FLUSH). */
export class Script<Reply> {
  private readonly source: string;
  private readonly sha: string;

  /** @param before names of files that the script's own needs before it */
  constructor(name: string, ...before: string[]) {
    const folder = join(PACKAGE_ROOT, 'bus', 'redis', 'scripts');
    this.source = [...before, name].map((part) => readFileSync(join(folder, `${part}.lua`), 'utf8')).join('\n');
    this.sha = createHash('sha1').update(this.source).digest('hex');
  }

  /** As part of a transaction: sent whole, since it must not fail for being unknown. Resolves when Redis has queued it. */
  queue(redis: Redis, keys: string[], args: ScriptArgument[]): Promise<unknown> {
    return send(redis, new ScriptCall('EVAL', this.source, keys, args));
  }

  /** Texts in the reply are Buffers, integers numbers. */
  async run(redis: Redis, keys: string[], args: ScriptArgument[]): Promise<Reply> {
    try {
      return (await send(redis, new ScriptCall('EVALSHA', this.sha, keys, args))) as Reply;
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return (await send(redis, new ScriptCall('EVAL', this.source, keys, args))) as Reply;
    }
  }
}

function send(redis: Redis, call: ScriptCall): Promise<unknown> {
  void redis.sendCommand(call);
  return call.promise;
}
