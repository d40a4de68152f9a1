import type { ClaimedTask } from '../../../bus/taskStore.js';
import { type ApiFixture, type FixtureOptions, PAYLOAD, startApi } from './apiFixture.js';
import { expect } from 'chai';
import { ResultReader } from './resultReader.js';

/** An interval that no spec lives to see: what arrives came by event. */
const NEVER_MS = 600_000;

/** An API that listens, a function, groups of its tasks, and the readers of their results. */
export class StreamFixture {
  private readonly readers: ResultReader[] = [];

  private constructor(
    readonly api: ApiFixture,
    readonly url: string,
    private readonly functionId: string,
  ) {}

  static async start(options: FixtureOptions = {}): Promise<StreamFixture> {
    const api = await startApi({ groupsOptions: { pollMs: NEVER_MS }, ...options });
    const url = await api.app.listen({ host: '127.0.0.1', port: 0 });
    return new StreamFixture(api, url, await api.functionId());
  }

  /** Submits tasks as a group, or to one (`more.group_id`); answers its id. */
  async submit(count: number, more: Record<string, unknown> = {}, through = this.api): Promise<string> {
    const payloads = Array<string>(count).fill(PAYLOAD);
    const { status, body, text } = await through.post('/tasks', { function_id: this.functionId, payloads, ...more });
    expect(status, text).to.equal(200);
    return String(body['group_id']);
  }

  async open(groupId: string, query = '', headers: Record<string, string> = {}): Promise<ResultReader> {
    return this.keep(await ResultReader.open(`${this.url}/groups/${groupId}/results${query}`, headers));
  }

  /** The reader is disconnected when the fixture stops. */
  keep(reader: ResultReader): ResultReader {
    this.readers.push(reader);
    return reader;
  }

  async claimAll(): Promise<ClaimedTask[]> {
    const all: ClaimedTask[] = [];
    for (let some = await this.api.claim(); some.length > 0; some = await this.api.claim()) all.push(...some);
    return all;
  }

  async stop(): Promise<void> {
    for (const reader of this.readers) reader.disconnect();
    await this.api.stop();
  }
}

export const range = (count: number): number[] => [...Array(count).keys()];
export const sorted = (indexes: number[]): number[] => indexes.toSorted((a, b) => a - b);
