import { expect } from 'chai';
import { timingSafeEqual } from 'node:crypto';
import { KeyRing } from '../../api/keyRing.js';
import { type ApiKeyRecord, type ApiKeyStore, newApiKey, SCOPES } from '../../bus/apiKeys.js';
import { PlatformError } from '../../bus/errors.js';

/** A store that counts how often it is asked. */
class CountingStore implements ApiKeyStore {
  records: ApiKeyRecord[] = [];
  looks = 0;
  reads = 0;
  isAway = false;

  async readVersion() {
    this.looks++;
    if (this.isAway) throw new PlatformError('STORE_UNAVAILABLE', 'away');
    return JSON.stringify(this.records);
  }
  async read() {
    this.reads++;
    if (this.isAway) throw new PlatformError('STORE_UNAVAILABLE', 'away');
    return { version: JSON.stringify(this.records), records: this.records };
  }
  async add(record: ApiKeyRecord) {
    this.records = [...this.records, record];
  }
  async revoke(keyId: string, revokedAtMs: number) {
    this.records = this.records.map((one) => (one.keyId === keyId ? { ...one, revokedAtMs } : one));
    return this.records.find((one) => one.keyId === keyId);
  }
}

describe('the ring of API keys', () => {
  const make = async (store: ApiKeyStore, more: { expiresAtMs?: number } = {}) => {
    const { key, record } = newApiKey({ name: 'n', tenant: 't', scopes: ['read'], ...more }, 1_000);
    await store.add(record);
    return { key, record };
  };
  const holder = async (ring: KeyRing, key: string) => ring.holderOf(key);

  it('answers at once what it knows, and looks at the version alone once in a while', async () => {
    const store = new CountingStore();
    const { key, record } = await make(store);
    const ring = new KeyRing({ store, recheckMs: 1_000, nowMs: () => 2_000 });
    const known = await holder(ring, key);
    expect(known).to.include({ tenant: 't', keyId: record.keyId });
    expect([...known!.scopes]).to.deep.equal(['read']);
    const again = Array.from({ length: 1_000 }, () => ring.holderOf(key));
    expect(new Set(again)).to.deep.equal(new Set([known]));
    expect(store).to.include({ looks: 0, reads: 1 });
    await new Promise((resolve) => setTimeout(resolve, 1_010));
    const looks = [ring.holderOf(key), ring.holderOf(key)];
    expect(looks[0]).to.be.instanceOf(Promise);
    for (const look of looks) expect(await look).to.equal(known);
    expect(store).to.include({ looks: 1, reads: 1 });
  });

  it('knows a key as soon as it is made, though it has looked a moment ago', async () => {
    const store = new CountingStore();
    const ring = new KeyRing({ store, recheckMs: 60_000, nowMs: () => 2_000 });
    const { key: older } = await make(store);
    expect(await holder(ring, older)).not.to.equal(undefined);
    const { key, record } = await make(store);
    expect(await holder(ring, key)).to.include({ keyId: record.keyId });
    const looksBefore = store.looks;
    await Promise.all(Array.from({ length: 100 }, () => holder(ring, `mpcs_000000000000_${'0'.repeat(40)}`)));
    expect(store.looks - looksBefore, 'looks for a hundred forged keys at once').to.be.within(1, 2);
  });

  it('compares digests, in constant time, also where there is no such key', async () => {
    const store = new CountingStore();
    const { key } = await make(store);
    const compared: [number, number][] = [];
    const equal = (a: Buffer, b: Buffer): boolean => {
      compared.push([a.length, b.length]);
      return timingSafeEqual(a, b);
    };
    const ring = new KeyRing({ store, equal, nowMs: () => 2_000 });
    expect(await holder(ring, key)).to.not.equal(undefined);
    const wrongSecret = key.slice(0, -4) + (key.endsWith('0000') ? '1111' : '0000');
    expect(await holder(ring, wrongSecret)).to.equal(undefined);
    expect(await holder(ring, newApiKey({ name: '', tenant: 't', scopes: ['read'] }, 0).key)).to.equal(undefined);
    expect(compared).to.deep.equal([
      [32, 32],
      [32, 32],
      [32, 32],
    ]);
  });

  it('accepts nothing that has expired or was revoked, nor anything while it cannot ask', async () => {
    const store = new CountingStore();
    let nowMs = 2_000;
    const ring = new KeyRing({ store, recheckMs: 0, nowMs: () => nowMs });
    const { key, record } = await make(store);
    const expiring = await make(store, { expiresAtMs: 3_000 });
    expect(await holder(ring, expiring.key)).to.not.equal(undefined);
    nowMs = 3_000;
    expect(await holder(ring, expiring.key)).to.equal(undefined);
    expect(ring.whyNot(expiring.key)).to.equal('expired');
    expect(await holder(ring, key)).to.not.equal(undefined);
    await store.revoke(record.keyId, nowMs);
    expect(await holder(ring, key)).to.equal(undefined);
    expect(ring.whyNot(key)).to.equal('revoked');
    store.isAway = true;
    const failure = await holder(ring, key).catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(PlatformError).with.property('code', 'STORE_UNAVAILABLE');
  });

  it('costs a request a few microseconds', async () => {
    const store = new CountingStore();
    const { key } = await make(store);
    for (let n = 0; n < 1_000; n++) await make(store);
    const ring = new KeyRing({ store, recheckMs: 60_000, nowMs: () => 2_000 });
    await holder(ring, key);
    const rounds = 20_000;
    for (let n = 0; n < rounds; n++) void ring.holderOf(key);
    const startMs = performance.now();
    for (let n = 0; n < rounds; n++) void ring.holderOf(key);
    const us = ((performance.now() - startMs) * 1000) / rounds;
    process.stdout.write(`      ${us.toFixed(2)} us a request\n`);
    // An order of magnitude more than on an idle machine, and still nothing beside a request.
    expect(us).to.be.lessThan(40);
  });

  it('gives keys that are long, different, and told by nothing but themselves', () => {
    const keys = Array.from({ length: 100 }, () => newApiKey({ name: '', tenant: 't', scopes: [...SCOPES] }, 0));
    const secrets = new Set(keys.map(({ key }) => key.split('_')[2]));
    expect(secrets.size).to.equal(100);
    for (const { key, record } of keys) {
      expect(key.split('_')[2]!.length * 4).to.be.at.least(128);
      expect(JSON.stringify(record)).to.not.contain(key.split('_')[2]);
    }
  });
});
