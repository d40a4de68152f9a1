import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import { keyIdOf } from '../../bus/apiKeys.js';
import { MAIN } from '../../cli/actorProcess.js';
import { readConfigFile } from '../../cli/security/configFile.js';
import { filesOf } from '../../cli/security/deployment.js';
import { expiryWarnings } from '../../cli/security/expiry.js';
import { readWorkerKeys } from '../../cli/security/keyFiles.js';
import { forRole, handedOn, withoutSecrets } from '../../cli/security/roles.js';
import { readWorkerToken } from '../../cli/security/workerToken.js';

const run = promisify(execFile);
const mpcsfaas = (...args: string[]): Promise<{ stdout: string; stderr: string }> =>
  run(process.execPath, [MAIN, ...args]);
const failing = (...args: string[]): Promise<string> =>
  mpcsfaas(...args).then(
    () => '',
    (error: unknown) => (error as { stderr: string }).stderr,
  );

describe('A deployment', () => {
  const parent = mkdtempSync(join(tmpdir(), 'deployment-'));
  const directory = join(parent, 'one');
  const files = filesOf(directory);
  let apiKey = '';
  before(async () => {
    const { stdout } = await mpcsfaas('init', directory, '--host', 'faas.example.com', '--dispatcher-port', '7001');
    apiKey = stdout.trim();
  });
  after(() => {
    rmSync(parent, { recursive: true, force: true });
  });

  it('is closed to everybody but its owner', async () => {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    expect(entries.map(({ name }) => name)).to.include.members([
      'mpcsfaas.env',
      'credentials.json',
      'ca.key',
      'server.key',
    ]);
    for (const entry of entries) {
      const mode = statSync(join(entry.parentPath, entry.name)).mode & 0o777;
      expect(mode.toString(8), entry.name).to.equal(entry.isDirectory() ? '700' : '600');
    }
    expect((statSync(directory).mode & 0o777).toString(8)).to.equal('700');
  });

  it('shows the first API key once, and keeps a digest', async () => {
    expect(keyIdOf(apiKey)).to.be.a('string');
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    for (const entry of entries.filter((one) => one.isFile())) {
      expect(readFileSync(join(entry.parentPath, entry.name), 'utf8')).not.to.include(apiKey.slice(-40));
    }
    const record = JSON.parse(readConfigFile(files.config)['FIRST_API_KEY'] ?? '') as {
      keyId: string;
      scopes: string[];
    };
    expect(record).to.deep.include({ keyId: keyIdOf(apiKey), scopes: ['admin'] });
  });

  it('is never written over', async () => {
    const before = readFileSync(files.config, 'utf8');
    expect(await failing('init', directory)).to.include('is there already: nothing was changed');
    rmSync(files.workerKeys);
    expect(await failing('init', directory)).to.include('is there already');
    expect(readFileSync(files.config, 'utf8')).to.equal(before);
    writeFileSync(files.workerKeys, '[]');
  });

  it('has a certificate for the names by which it is reached, signed by its own authority', () => {
    const [authority, server] = [files.authority, files.server].map(
      (one) => new X509Certificate(readFileSync(one.certificate)),
    );
    expect(server!.checkIssued(authority!)).to.equal(true);
    for (const name of ['faas.example.com', 'localhost']) expect(server!.checkHost(name), name).to.be.a('string');
    expect(server!.checkIP('127.0.0.1')).to.be.a('string');
    expect(server!.ca).to.equal(false);
  });

  it('gives each role its own credentials and nobody else its own', () => {
    const env = { ...readConfigFile(files.config), PATH: '/bin' };
    const api = forRole(env, 'api');
    expect(api['REDIS_USER']).to.equal('api');
    expect(api['REDIS_PASSWORD']).to.equal(env['REDIS_PASSWORD_API' as keyof typeof env]);
    expect(Object.keys(api).filter((name) => /_(API|DISPATCHER|MONITOR|ADMIN)$/.test(name))).to.deep.equal([]);
    expect(api['REDIS_PASSWORD']).not.to.equal(forRole(env, 'monitor')['REDIS_PASSWORD']);
    const worker = withoutSecrets({ ...env, MPCSFAAS_CONFIG: files.config });
    for (const name of Object.keys(worker)) expect(name).not.to.match(/REDIS|NATS|CREDENTIALS|API_KEY|CONFIG|_KEYS/);
    expect(worker).to.include({ PATH: '/bin', WORKER_TOKEN_FILE: files.localToken });
    const actor = handedOn({ ...env, MPCSFAAS_CONFIG: files.config, API_PORT: '1' });
    expect(actor).to.deep.equal({ PATH: '/bin', MPCSFAAS_CONFIG: files.config, API_PORT: '1' });
  });

  it('lets a worker in by one string, and shuts it out by its name', async () => {
    const { stdout } = await mpcsfaas('worker-token', 'ada', '--days', '3', '--config', files.config);
    const token = readWorkerToken(stdout);
    expect(token).to.include({ name: 'ada', mode: 'push', url: 'tcp://faas.example.com:7001' });
    expect(Date.parse(token.expires)).to.be.closeTo(Date.now() + 3 * 86_400_000, 60_000);
    const [entry] = readWorkerKeys(files.workerKeys);
    expect(entry).to.include({ name: 'ada', publicKey: token.publicKey, expires: token.expires });
    expect(readFileSync(files.workerKeys, 'utf8')).not.to.include(token.secretKey);
    expect(await failing('worker-revoke', 'bob', '--config', files.config)).to.include('those who may: ada');
    await mpcsfaas('worker-revoke', 'ada', '--config', files.config);
    expect(readWorkerKeys(files.workerKeys)[0]?.revoked).to.be.a('string');
  });

  it('says what is wrong with a token, and never shows it', async () => {
    for (const wrong of ['secret-of-mine', 'mpcsfaas-worker-1.e30', 'mpcsfaas-worker-1.%%%']) {
      const { stderr } = await run(process.execPath, [MAIN, 'worker'], {
        env: { ...process.env, WORKER_TOKEN: wrong },
      }).catch((error: unknown) => error as { stderr: string });
      expect(stderr).to.include('what `mpcsfaas worker-token NAME` has printed');
      expect(stderr).not.to.include(wrong);
    }
    expect(await failing('worker-token', 'no dots.please', '--config', files.config)).to.include('A worker');
    expect(await failing('worker-token', 'ada')).to.include('--config');
    expect(await failing('push_worker', '1', 'tcp://192.0.2.1:5555')).to.match(/without a token[^]*--insecure/);
  });

  it('warns from 30 days before something expires', () => {
    const now = Date.parse('2030-01-01T00:00:00Z');
    const items = ['2030-02-15', '2030-01-20', '2029-12-31'].map((day) => ({ what: day, at: `${day}T00:00:00.000Z` }));
    expect(expiryWarnings(items, now)).to.deep.equal([
      '2030-01-20 expires at 2030-01-20T00:00:00.000Z, in 19 days',
      '2029-12-31 expired at 2029-12-31T00:00:00.000Z',
    ]);
  });
});
