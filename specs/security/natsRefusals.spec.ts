import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { ControlMessage } from '../../bus/controlMessages.js';
import { NatsBus } from '../../bus/natsBus.js';
import { newCredentials, writeCredentials } from '../../cli/security/credentials.js';
import { type Server, startNats } from '../../cli/servers.js';
import { eventually } from '../support/eventually.js';
import { TcpProxy } from '../support/tcpProxy.js';

describe('A bus that NATS refuses', () => {
  const directory = mkdtempSync(join(tmpdir(), 'refusals-'));
  const known = newCredentials(new Date());
  const stranger = newCredentials(new Date());
  let nats: Server;
  let proxy: TcpProxy;
  let bus: NatsBus;
  let dispatcher: NatsBus;
  let events: string[];
  let heard: ControlMessage[];
  let errors: string[];
  /** How many times more it shows what the server does not know. */
  let refusals = 0;
  /** How many times more what it shows cannot be read. */
  let unreadable = 0;

  const nkey = (): string => {
    if (unreadable-- > 0) throw new Error('no such file');
    return (refusals-- > 0 ? stranger : known).nats.api[0]!.secret;
  };
  const open = (port: number, role: 'api' | 'dispatcher', access: () => string): NatsBus =>
    new NatsBus({
      url: `nats://127.0.0.1:${port}`,
      access: { nkey: access },
      address: role,
      topics: role === 'api' ? ['tasks.settled'] : [],
      events:
        role === 'api'
          ? { lost: () => events.push('lost'), restored: () => events.push('restored') }
          : { lost: () => undefined, restored: () => undefined },
      onError: (error) => errors.push(String(error)),
    });

  before(async () => {
    const credentials = join(directory, 'credentials.json');
    writeCredentials(credentials, known);
    nats = await startNats({
      env: process.env,
      security: { host: '127.0.0.1', credentials },
      directory,
      logFile: join(directory, 'nats.log'),
    });
    proxy = await TcpProxy.start(nats.port);
  });
  beforeEach(async () => {
    [events, heard, errors] = [[], [], []];
    [refusals, unreadable] = [0, 0];
    bus = open(proxy.port, 'api', nkey);
    bus.listen((message) => heard.push(message));
    dispatcher = open(nats.port, 'dispatcher', () => known.nats.dispatcher[0]!.secret);
    await eventually('both are connected', () => bus.connected && dispatcher.connected);
  });
  afterEach(() => Promise.all([bus.close(), dispatcher.close()]));
  after(async () => {
    await proxy.stop();
    await nats.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  async function reconnects(): Promise<void> {
    proxy.cut();
    await eventually('it is lost', () => !bus.connected);
    proxy.open();
    await eventually('it is back', () => bus.connected);
    expect([refusals < 0, unreadable < 0], 'whether all refusals are past').to.deep.equal([true, true]);
    heard.length = 0;
    dispatcher.send('tasks.settled', { type: 'tasks.settled', tasks: [] });
    await eventually('it hears', () => heard.length > 0);
  }

  it('is restored when it is let in again, however often it was refused', async () => {
    refusals = 4;
    await reconnects();
    expect(events).to.deep.equal(['lost', 'restored']);
    expect(heard).to.have.length(1);
    expect(errors.join()).to.match(/Authorization Violation/);
  });

  it('is restored each time when it is refused once, and once more later', async () => {
    for (let time = 0; time < 3; time++) {
      refusals = 1;
      await reconnects();
    }
    expect(events).to.deep.equal([...['lost', 'restored'], ...['lost', 'restored'], ...['lost', 'restored']]);
  });

  it('is restored when its key could not be read for a moment', async () => {
    unreadable = 2;
    await reconnects();
    expect(events).to.deep.equal(['lost', 'restored']);
    expect(errors.join()).to.contain('no such file');
  });

  it('closes soon while it is refused', async () => {
    refusals = Infinity;
    proxy.cut();
    proxy.open();
    await eventually('it is refused for good', () => errors.length > 0);
    const startedAtMs = performance.now();
    await bus.close();
    expect(performance.now() - startedAtMs).to.be.lessThan(2_500);
    expect(events).to.deep.equal(['lost']);
  });
});
