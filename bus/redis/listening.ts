import type { Redis } from 'ioredis';
import type { SettledTask } from '../controlMessages.js';
import type { HandOverHearer } from '../taskStore.js';
import type { Claims } from './claims.js';
import { parseEnds } from './endsMessage.js';
import type { ShardKeys } from './keys.js';
import { Mailbox } from './mailbox.js';

/** What one process hears from the store's scripts, each on a connection of its own. */
export class Listening {
  private handOvers: Mailbox | undefined;
  private ends: Mailbox | undefined;

  /** @param connect makes another connection; without it nothing is heard, and claims never stand. */
  constructor(private readonly connect: (() => Redis) | undefined) {}

  /** For how long a claim may stand now; undefined when claims of this process never do. */
  standMs(wanted: number): number | undefined {
    return this.handOvers && (this.handOvers.isOpen ? wanted : 0);
  }

  standBy(claimant: string, shard: ShardKeys, claims: Claims, hearer: HandOverHearer): void {
    if (!this.connect) return;
    let before: Promise<unknown> = Promise.resolve();
    this.handOvers = new Mailbox(this.connect(), `handed:${claimant}`, {
      heard: (message) => {
        // What cannot be read, or completed, keeps its lease until it is looked for.
        const reading = claims.handedOver(shard, message).catch(() => undefined);
        // Large arguments are read first: what comes after them would overtake them, and they would pass for lost.
        before = Promise.all([reading, before]).then(([handed]) => handed && hearer.handedOver(...handed));
      },
      cutOff: () => {
        hearer.cutOff();
      },
    });
  }

  hearEnds(reader: string, hear: (tasks: SettledTask[]) => void): void {
    if (!this.connect) return;
    this.ends = new Mailbox(this.connect(), `ended:${reader}`, {
      heard: (message) => {
        hear(parseEnds(message));
      },
      cutOff: () => undefined,
    });
  }

  close(): void {
    this.handOvers?.close();
    this.ends?.close();
  }
}
