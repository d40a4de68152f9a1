import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { PACKAGE_ROOT } from '../packageRoot.js';

type Argument = string | Buffer | number;

/** One Lua file of `scripts/`, sent whole only when the server does not have it (after a restart or SCRIPT FLUSH). */
export class Script<Reply> {
  private readonly source: string;
  private readonly sha: string;

  constructor(name: string) {
    this.source = readFileSync(join(PACKAGE_ROOT, 'bus', 'redis', 'scripts', `${name}.lua`), 'utf8');
    this.sha = createHash('sha1').update(this.source).digest('hex');
  }

  /** Texts in the reply are Buffers, integers numbers. */
  async run(redis: Redis, keys: string[], args: Argument[]): Promise<Reply> {
    try {
      return (await redis.callBuffer('EVALSHA', this.sha, keys.length, ...keys, ...args)) as Reply;
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return (await redis.callBuffer('EVAL', this.source, keys.length, ...keys, ...args)) as Reply;
    }
  }
}
