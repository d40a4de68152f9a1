import type { OutcomeReader } from '../../bus/groupStore.js';
import type { Asker } from '../../bus/tenants.js';
import type { Group } from './group.js';
import type { Groups } from './groups.js';
import { ResultStream, type ResultStreamOptions } from './resultStream.js';

export type StreamRequest = Pick<ResultStreamOptions, 'format' | 'have' | 'follow' | 'waitMs'>;

/** The streams that are open. */
export class ResultStreams {
  private readonly open = new Set<ResultStream>();
  private closed = false;

  constructor(private readonly options: { groups: Groups; reader: OutcomeReader; heartbeatMs: number | undefined }) {}

  get size(): number {
    return this.open.size;
  }

  /** @throws PlatformError STORE_UNAVAILABLE, TOO_MANY_WAITS */
  async start(group: Group, request: StreamRequest, asker?: Asker): Promise<ResultStream> {
    const { groups, reader, heartbeatMs } = this.options;
    await groups.follow(group);
    const stream = new ResultStream({
      ...{ ...request, group, reader, heartbeatMs, asker },
      onClosed: () => {
        if (this.open.delete(stream)) groups.unfollow(group);
      },
    });
    this.open.add(stream);
    stream.start();
    if (this.closed) stream.stop('closing');
    return stream;
  }

  /** Ends all streams; their clients go on elsewhere, from where they were. */
  close(): void {
    this.closed = true;
    for (const stream of this.open) stream.stop('closing');
  }
}
