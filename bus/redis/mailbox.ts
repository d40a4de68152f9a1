import type { Redis } from 'ioredis';

export interface MailboxHearer {
  heard(message: Buffer): void;
  /** The connection was lost, and messages may have been. */
  cutOff(): void;
}

/**
 * What scripts have to say to one process: answers to what it asked before there was one. On a connection of its own, which takes no other
 * commands then, whenever it is there.
 *
 * Messages carry no seal: whoever can publish on Redis could write there as well.
 */
export class Mailbox {
  /** What is published now will be heard, unless the connection is lost. */
  isOpen = false;

  constructor(
    private readonly redis: Redis,
    channel: string,
    hearer: MailboxHearer,
  ) {
    redis.on('messageBuffer', (_channel: Buffer, message: Buffer) => {
      hearer.heard(message);
    });
    redis.on('ready', () => {
      redis.subscribe(channel).then(
        () => (this.isOpen = true),
        () => undefined, // Gone again; there will be another `ready`.
      );
    });
    redis.on('close', () => {
      if (this.isOpen) hearer.cutOff();
      this.isOpen = false;
    });
  }

  close(): void {
    this.redis.disconnect();
  }
}

/** The parts of a message: a line of JSON, and bytes. */
export function messageParts(message: Buffer): [header: unknown[], bytes: Buffer] {
  const end = message.indexOf('\n');
  return [JSON.parse(message.toString('utf8', 0, end)) as unknown[], message.subarray(end + 1)];
}
