import { Command } from 'ioredis';

export type ScriptArgument = string | Buffer | number;

/**
 * One call of a script, written in one piece. A batch has a thousand arguments and more, most of a few bytes; ioredis looks at each of them five
 * times, and copies each by itself, which cost more than all else that a dispatcher does for a task (measured: 8 us, now 1).
 */
export class ScriptCall extends Command {
  constructor(
    name: 'EVAL' | 'EVALSHA',
    private readonly source: string,
    private readonly scriptKeys: readonly string[],
    private readonly scriptArguments: readonly ScriptArgument[],
  ) {
    // The arguments stay here; texts of the answer are to be Buffers.
    super(name, [], { replyEncoding: null });
  }

  /** As a text of Latin-1, a character for each byte: texts are joined without being copied, and become bytes all at once. */
  override toWritable(): Buffer {
    const { name, source, scriptKeys: keys, scriptArguments: values } = this;
    let text = `*${3 + keys.length + values.length}\r\n${bulk(name)}${bulk(utf8(source))}${bulk(String(keys.length))}`;
    for (const key of keys) text += bulk(utf8(key));
    for (const value of values) {
      text += bulk(
        typeof value === 'string' ? utf8(value) : typeof value === 'number' ? `${value}` : value.toString('latin1'),
      );
    }
    return Buffer.from(text, 'latin1');
  }
}

const bulk = (bytes: string): string => `$${bytes.length}\r\n${bytes}\r\n`;

/** The bytes of a text as characters. */
const utf8 = (text: string): string =>
  Buffer.byteLength(text) === text.length ? text : Buffer.from(text).toString('latin1');
