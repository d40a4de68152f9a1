import { expect } from 'chai';
import { DispatcherLink } from '../../actors/dispatcherLink.js';
import { type Bus, DISPATCHER } from '../../bus/bus.js';
import { MemoryHub } from '../../bus/memoryBus.js';
import type { DispatcherMessage, WorkerMessage } from '../../bus/messages.js';
import { hello } from '../bus/support/wire.js';
import { ManualClock } from '../lifecycles/support/manualClock.js';
import { settlePromises } from '../simulation/virtualClock.js';

const HEARTBEAT_MS = 1_000;
/** Longer than any of these specs has a worker look. */
const MOST_HEARTBEATS = 100;

describe('a worker whose dispatchers come and go', () => {
  let clock: ManualClock;
  let link: DispatcherLink;
  let errors: unknown[];
  /** Where it has turned to, in order. */
  let tried: string[];
  /** Dispatchers that answer, each with the others that it tells of. */
  const telling = new Map<string, string[]>();

  beforeEach(() => {
    clock = new ManualClock();
    [errors, tried] = [[], []];
    telling.clear();
  });
  afterEach(async () => {
    await link.close();
    expect(errors).to.deep.equal([]);
  });

  const onError = (error: unknown): unknown => errors.push(error);

  function connect(url: string): Bus<DispatcherMessage, WorkerMessage> {
    tried.push(url);
    const hub = new MemoryHub(onError);
    const dispatcher = hub.endpoint<WorkerMessage, DispatcherMessage>(DISPATCHER);
    dispatcher.listen((message, from) => {
      const dispatchers = telling.get(url);
      if (!dispatchers) return;
      if (message.type === 'heartbeat') dispatcher.send(from, { type: 'heartbeat', dispatchers });
      if (message.type !== 'hello') return;
      const { lastRun } = message;
      const about = { dispatcher: url, heartbeatMs: HEARTBEAT_MS, rejected: [], lastRun };
      dispatcher.send(from, { type: 'welcome', ...about, dispatchers });
    });
    return hub.endpoint<DispatcherMessage, WorkerMessage>('worker');
  }

  async function start(...urls: string[]): Promise<void> {
    link = new DispatcherLink(
      { heartbeatMs: HEARTBEAT_MS, urls },
      {
        connect,
        clock,
        hello: () => hello('w'),
        load: () => ({ running: 0, queued: 0 }),
        ...{ onWelcome: () => undefined, onMessage: () => undefined, onBeat: () => undefined },
        onConnected: () => undefined,
        onError,
      },
    );
    link.open();
    await heartbeats(2);
    expect(link.welcomed).to.equal(true);
  }

  async function heartbeats(count: number): Promise<void> {
    for (let beat = 0; beat < count; beat++) {
      clock.advance(HEARTBEAT_MS);
      // There, and the answer.
      for (let way = 0; way < 2; way++) await settlePromises();
    }
  }

  /** The dispatcher that it is with falls silent: where it turns to, until another has taken it. */
  async function leaves(url: string): Promise<string[]> {
    telling.delete(url);
    tried = [];
    for (let beat = 0; beat < MOST_HEARTBEATS && !(tried.length > 0 && link.welcomed); beat++) await heartbeats(1);
    return tried;
  }

  it('turns to the one that was there last, not to those that it has replaced', async () => {
    telling.set('a', []);
    await start('a');
    for (let replaced = 0; replaced < 30; replaced++) {
      telling.set('a', [`gone ${replaced}`]);
      await heartbeats(1);
    }
    telling.set('a', ['b']).set('b', []);
    await heartbeats(1);
    expect(await leaves('a')).to.deep.equal(['b']);
  });

  it('asks those that were alive a moment ago before those that it was started with', async () => {
    telling.set('a', ['b', 'c']).set('c', []);
    await start('a', 'given', 'given too');
    expect(await leaves('a')).to.deep.equal(['b', 'c']);
  });

  it('keeps what it knows while a dispatcher tells of nobody', async () => {
    telling.set('a', ['b']);
    await start('a');
    telling.set('a', []).set('b', []);
    await heartbeats(3);
    expect(await leaves('a')).to.deep.equal(['b']);
    telling.set('a', []);
    expect(await leaves('b')).to.deep.equal(['a']);
  });

  it('comes back to one that was only silent, and to those that it was started with', async () => {
    telling.set('a', ['b', 'c']).set('b', ['c']);
    await start('a');
    expect(await leaves('a')).to.deep.equal(['b']);
    await heartbeats(1);
    telling.delete('b');
    tried = [];
    await heartbeats(9);
    expect(tried).to.deep.equal(['c', 'a', 'b']);
    telling.set('b', []);
    await heartbeats(1);
    expect(link.welcomed).to.equal(true);
    telling.set('a', []);
    expect(await leaves('b')).to.deep.equal(['c', 'a']);
  });
});
