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

  /**
   * As part of a transaction. Resolves when Redis has queued it.
   * @param whole for a server that may not know it: by its digest alone it would fail there, and the rest of the transaction not
   */
  queue(redis: Redis, whole: boolean, keys: string[], args: ScriptArgument[]): Promise<unknown> {
    return send(redis, whole ? this.whole(keys, args) : this.byDigest(keys, args));
  }

  /** Texts in the reply are Buffers, integers numbers. */
  async run(redis: Redis, keys: string[], args: ScriptArgument[]): Promise<Reply> {
    try {
      return (await send(redis, this.byDigest(keys, args))) as Reply;
    } catch (error) {
      if (!isUnknownScript(error)) throw error;
      return (await send(redis, this.whole(keys, args))) as Reply;
    }
  }

  private byDigest(keys: string[], args: ScriptArgument[]): ScriptCall {
    return new ScriptCall('EVALSHA', this.sha, keys, args);
  }

  private whole(keys: string[], args: ScriptArgument[]): ScriptCall {
    return new ScriptCall('EVAL', this.source, keys, args);
  }
}

/** Whether that is what Redis means to say. */
export const isUnknownScript = (error: unknown): boolean =>
  error instanceof Error && error.message.startsWith('NOSCRIPT');

function send(redis: Redis, call: ScriptCall): Promise<unknown> {
  void redis.sendCommand(call);
  return call.promise;
}
