import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { expect } from 'chai';
import { ConfigError, parseConfig } from '../../bus/config.js';

describe('The configuration', () => {
  it('has a default for everything', () => {
    const config = parseConfig({});
    expect(config).to.deep.include({
      apiHost: '127.0.0.1',
      apiPort: 8000,
      redisUrl: 'redis://127.0.0.1:6379',
      redisFsync: 'everysec',
      natsUrl: 'nats://127.0.0.1:4222',
      dataDir: resolve('.platform'),
      mode: 'push',
      workers: 1,
      slots: availableParallelism(),
      dispatcherUrl: 'tcp://127.0.0.1:5555',
      leaseMs: 15_000,
      maxAttempts: 3,
    });
    expect(config.pythonPath).to.deep.equal([]);
  });

  it('takes an empty variable for one that is not set', () => {
    expect(parseConfig({ MODE: '', API_PORT: '', PYTHONPATH: '', REDIS_URL: '' })).to.deep.equal(parseConfig({}));
  });

  it('reads what is set', () => {
    const config = parseConfig({ MODE: 'pull', SLOTS: '7', PYTHONPATH: '/a::b', DISPATCHER_PORT: '6000' });
    expect(config).to.deep.include({ mode: 'pull', slots: 7, dispatcherUrl: 'tcp://127.0.0.1:6000' });
    expect(config.pythonPath).to.deep.equal(['/a', resolve('b')]);
  });

  it('takes a path of an interpreter from here, and a name as it is', () => {
    expect(parseConfig({ PYTHON: 'venv/bin/python' }).python).to.equal(resolve('venv/bin/python'));
    expect(parseConfig({ PYTHON: 'pypy3' }).python).to.equal('pypy3');
  });

  it('reads what is handed on to functions: names and values, which may hold commas where lines separate them', () => {
    expect(parseConfig({ WORKER_ENV: 'ONE,TWO=2' }).workerEnvironment).to.deep.equal(['ONE', 'TWO=2']);
    expect(parseConfig({ WORKER_ENV: 'ONE=1,2\nTWO\n' }).workerEnvironment).to.deep.equal(['ONE=1,2', 'TWO']);
  });

  it('reads sizes in bytes, K, M and G', () => {
    const sizes = ['0', '134217728', '131072k', '128M', '2G'].map(
      (size) => parseConfig({ MAX_MEMORY: size }).maxMemoryBytes,
    );
    expect(sizes).to.deep.equal([0, 2 ** 27, 2 ** 27, 2 ** 27, 2 ** 31]);
  });

  const WRONG: [variable: string, value: string, allowed: string][] = [
    ['MODE', 'shove', 'one of push, pull, local'],
    ['LOG_LEVEL', 'loud', 'one of trace, debug, info, warn, error, fatal, silent'],
    ['LOG_FORMAT', 'xml', 'one of pretty, json'],
    ['API_PORT', '65536', 'a whole number from 0 to 65535'],
    ['API_PORT', '80a', 'a whole number from 0 to 65535'],
    ['SLOTS', '0', 'a whole number from 1 to 1024'],
    ['WORKERS', '-1', 'a whole number from 0 to 1000'],
    ['LEASE_MS', '1e9', 'a whole number from 100 to 86400000'],
    ['SANDBOX', 'jail', 'one of none, process, bubblewrap'],
    ['SANDBOX_NETWORK', 'yes', '0 or 1'],
    [
      'WORKER_ENV',
      'WORKER_TOKEN',
      "names or NAME=value, separated by commas, and none of the platform's own (REDIS_URL, NATS_URL, MPCSFAAS_...)",
    ],
    ['MAX_MEMORY', '2T', '0 for no limit, or a size from 64M, such as 512M or 2G'],
    ['MAX_MEMORY', '1M', '0 for no limit, or a size from 64M, such as 512M or 2G'],
    ['REDIS_URL', 'localhost:6379', 'a URL such as redis://127.0.0.1:6379'],
    ['NATS_URL', 'http://localhost', 'a URL such as nats://127.0.0.1:4222'],
    ['DISPATCHER_URL', 'tcp://nowhere', 'a URL such as tcp://127.0.0.1:5555'],
  ];
  for (const [variable, value, allowed] of WRONG) {
    it(`refuses ${variable}=${value} in one sentence that says what is allowed`, () => {
      expect(() => parseConfig({ [variable]: value })).to.throw(
        ConfigError,
        `${variable}=${value} is not valid: it must be ${allowed}.`,
      );
    });
  }

  it('wants a worker suspect before it is lost', () => {
    expect(() => parseConfig({ SUSPECT_AFTER_MISSED: '4', LOST_AFTER_MISSED: '4' })).to.throw('LOST_AFTER_MISSED=4');
    expect(parseConfig({ SUSPECT_AFTER_MISSED: '4' }).lostAfterMissed).to.equal(5);
  });
});
