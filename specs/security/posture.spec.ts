import { expect } from 'chai';
import { type Environment, parseConfig } from '../../bus/config.js';
import {
  type Binder,
  exposure,
  insecurityWarning,
  isLoopback,
  requireSafePosture,
} from '../../cli/security/posture.js';

const missing = (binder: Binder, env: Environment): string => exposure(binder, parseConfig(env)).join('; ');
const REDIS_AND_NATS = { REDIS_PASSWORD: 'x', NATS_NKEY: 'SU' };
const CURVE = { DISPATCHER_KEYS: '/keys', WORKER_KEYS: '/workers' };

describe('The posture', () => {
  it('knows which addresses only this machine can reach', () => {
    for (const host of ['127.0.0.1', '127.8.8.8', 'localhost', '::1', '[::1]', '::ffff:127.0.0.1']) {
      expect(isLoopback(host), host).to.equal(true);
    }
    for (const host of ['0.0.0.0', '::', '*', '10.0.0.1', '127.0.0.1.example.com', 'localhost.example.com', '']) {
      expect(isLoopback(host), host).to.equal(false);
    }
  });

  it('asks nothing of what stays on loopback', () => {
    for (const binder of ['up', 'api', 'dispatcher', 'redis', 'nats'] as const) {
      expect(missing(binder, {}), binder).to.equal('');
      expect(() => requireSafePosture(binder, parseConfig({}))).not.to.throw();
    }
  });

  it('has an API that others reach ask for keys, and show credentials', () => {
    const open = { API_HOST: '0.0.0.0' };
    expect(missing('api', open)).to.match(/API_KEYS=required.*Redis credentials.*NATS credentials/);
    expect(missing('api', { ...open, ...REDIS_AND_NATS })).to.match(/^API keys/);
    expect(missing('api', { ...open, API_KEYS: 'required' })).to.match(/^Redis credentials.*NATS credentials/);
    expect(missing('api', { ...open, API_KEYS: 'required', ...REDIS_AND_NATS })).to.equal('');
    const inUrls = { REDIS_URL: 'redis://a:b@127.0.0.1:1', NATS_URL: 'nats://token@127.0.0.1:2' };
    expect(missing('api', { ...open, API_KEYS: 'required', ...inUrls })).to.equal('');
  });

  it('has a dispatcher that others reach speak CURVE', () => {
    const open = { DISPATCHER_HOST: '::' };
    expect(missing('dispatcher', { ...open, ...REDIS_AND_NATS })).to.match(/^CURVE.*DISPATCHER_KEYS and WORKER_KEYS/);
    expect(missing('dispatcher', { ...open, ...REDIS_AND_NATS, DISPATCHER_KEYS: '/keys' })).to.match(/^CURVE/);
    expect(missing('dispatcher', { ...open, ...REDIS_AND_NATS, ...CURVE })).to.equal('');
    expect(missing('dispatcher', { ...open, MODE: 'local' }), 'nobody listens').to.equal('');
  });

  it('has servers that others reach know their users, and show a certificate', () => {
    const redis = { REDIS_URL: 'redis://192.0.2.1:6379' };
    expect(missing('redis', redis)).to.match(/Redis credentials.*TLS.*rediss:/);
    const tls = { CREDENTIALS: '/users', TLS_CERT: '/c', TLS_KEY: '/k' };
    expect(missing('redis', { REDIS_URL: 'rediss://192.0.2.1:6379', ...tls })).to.equal('');
    expect(missing('nats', { NATS_URL: 'tls://192.0.2.1:4222' })).to.match(/NATS credentials.*TLS/);
    expect(missing('nats', { NATS_URL: 'tls://192.0.2.1:4222', ...tls })).to.equal('');
    expect(missing('nats', { NATS_URL: 'tls://192.0.2.1:4222', ...REDIS_AND_NATS }), 'its own users').to.match(/^NATS/);
  });

  it('refuses in words that name each thing, and what to do', () => {
    const open = parseConfig({ API_HOST: '0.0.0.0', DISPATCHER_HOST: '10.0.0.1' });
    expect(() => requireSafePosture('up', open)).to.throw(
      /API_HOST=0\.0\.0\.0 and DISPATCHER_HOST=10\.0\.0\.1 [^]*API keys[^]*CURVE[^]*Redis[^]*NATS[^]*mpcsfaas init[^]*--insecure/,
    );
  });

  it('gives way to INSECURE alone, which stays visible', () => {
    const open = { API_HOST: '0.0.0.0' };
    const config = parseConfig({ ...open, INSECURE: '1' });
    expect(() => requireSafePosture('api', config)).not.to.throw();
    expect(insecurityWarning('api', config)).to.match(/^INSECURE: open to the network without API keys/);
    expect(insecurityWarning('api', parseConfig({ INSECURE: '1' })), 'on loopback').to.equal(undefined);
    expect(() => requireSafePosture('api', parseConfig({ ...open, INSECURE: '0' }))).to.throw();
    expect(() => parseConfig({ INSECURE: 'maybe' })).to.throw('INSECURE=maybe is not valid: it must be 0 or 1.');
  });
});
