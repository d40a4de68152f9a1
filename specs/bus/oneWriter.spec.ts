import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import { OneWriter, type OneWriterOptions } from '../../bus/oneWriter.js';

/** A wire whose sends end when the spec says so. */
class SlowWire {
  readonly batches: number[][] = [];
  readonly errors: unknown[] = [];
  readonly writer: OneWriter<number>;
  private finish: ((error?: Error) => void) | undefined;

  constructor(options: Partial<OneWriterOptions<number>> = {}) {
    const flush = (batch: number[]): Promise<void> => {
      expect(this.finish, 'two sends at once').to.equal(undefined);
      this.batches.push(batch);
      return new Promise((resolve, reject) => {
        this.finish = (error) => {
          this.finish = undefined;
          if (error) reject(error);
          else resolve();
        };
      });
    };
    this.writer = new OneWriter(flush, { maxItems: 100, onError: (error) => this.errors.push(error), ...options });
  }

  push(...items: number[]): void {
    for (const item of items) this.writer.push(item);
  }

  /** The send in flight ends; all that follows from it has happened when this resolves. */
  async sent(error?: Error): Promise<void> {
    await sleep(0);
    this.finish?.(error);
    await sleep(0);
  }
}

describe('one writer per wire', () => {
  it('sends an item that comes alone at once, alone', async () => {
    const wire = new SlowWire();
    wire.push(1);
    await Promise.resolve();
    expect(wire.batches).to.deep.equal([[1]]);
  });

  it('sends together what one turn of the event loop brings', async () => {
    const wire = new SlowWire();
    wire.push(1, 2, 3);
    await sleep(0);
    expect(wire.batches).to.deep.equal([[1, 2, 3]]);
  });

  it('gathers while a send is in flight, keeps the order, and never sends twice at once', async () => {
    const wire = new SlowWire();
    wire.push(1);
    await sleep(0);
    wire.push(2);
    await sleep(2);
    wire.push(3, 4);
    expect(wire.batches).to.deep.equal([[1]]);
    expect(wire.writer.size).to.equal(3);
    await wire.sent();
    expect(wire.batches).to.deep.equal([[1], [2, 3, 4]]);
    await wire.sent();
    wire.push(5);
    await wire.sent();
    expect(wire.batches.at(-1)).to.deep.equal([5]);
  });

  it('bounds a batch by items', async () => {
    const wire = new SlowWire({ maxItems: 3 });
    wire.push(1, 2, 3, 4, 5, 6, 7);
    for (let sends = 0; sends < 3; sends++) await wire.sent();
    expect(wire.batches).to.deep.equal([[1, 2, 3], [4, 5, 6], [7]]);
  });

  it('bounds a batch by bytes, and sends alone what is larger by itself', async () => {
    const wire = new SlowWire({ maxBytes: 10, sizeOf: (item) => item });
    wire.push(4, 6, 1, 50, 3, 8, 2, 10, 1);
    for (let sends = 0; sends < 6; sends++) await wire.sent();
    expect(wire.batches).to.deep.equal([[4, 6], [1], [50], [3], [8, 2], [10], [1]]);
  });

  it('goes on after a send that failed, and reports it', async () => {
    const wire = new SlowWire();
    wire.push(1);
    await sleep(0);
    wire.push(2);
    await wire.sent(new Error('refused'));
    expect(wire.batches).to.deep.equal([[1], [2]]);
    expect(wire.errors.map((error) => (error as Error).message)).to.deep.equal(['refused']);
  });

  it('goes on after a send that threw before it began', async () => {
    const errors: unknown[] = [];
    const sent: number[] = [];
    const writer = new OneWriter<number>(
      (batch) => {
        if (batch.includes(1)) throw new Error('not one');
        sent.push(...batch);
      },
      { maxItems: 1, onError: (error) => errors.push(error) },
    );
    for (const item of [0, 1, 2]) writer.push(item);
    await writer.idle();
    expect(sent).to.deep.equal([0, 2]);
    expect(errors).to.have.length(1);
  });

  it('is idle when everything has been sent, failed sends included', async () => {
    const wire = new SlowWire({ maxItems: 1 });
    await wire.writer.idle();
    wire.push(1, 2);
    let idle = 0;
    void wire.writer.idle().then(() => idle++);
    void wire.writer.idle().then(() => idle++);
    await wire.sent(new Error('refused'));
    expect(idle).to.equal(0);
    await wire.sent();
    expect(idle).to.equal(2);
  });

  it('takes back what it has not sent', async () => {
    const wire = new SlowWire();
    wire.push(1);
    await sleep(0);
    wire.push(2, 3);
    expect(wire.writer.clear()).to.deep.equal([2, 3]);
    await wire.sent();
    await wire.writer.idle();
    expect(wire.batches).to.deep.equal([[1]]);
    wire.push(4);
    await wire.sent();
    expect(wire.batches).to.deep.equal([[1], [4]]);
  });

  it('loses nothing and reorders nothing, whatever comes when', async () => {
    const steps = fc.array(fc.oneof(fc.nat({ max: 20 }), fc.constant('sent' as const)), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(
        steps,
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 30 }),
        async (plan, maxItems, maxBytes) => {
          const wire = new SlowWire({ maxItems, maxBytes, sizeOf: (item) => item });
          const pushed: number[] = [];
          for (const step of plan) {
            if (step === 'sent') {
              await wire.sent();
            } else {
              pushed.push(step);
              wire.push(step);
            }
          }
          while (wire.batches.flat().length < pushed.length) await wire.sent();
          expect(wire.batches.flat()).to.deep.equal(pushed);
          for (const batch of wire.batches) {
            expect(batch.length).to.be.within(1, maxItems);
            const bytes = batch.reduce((sum, item) => sum + item, 0);
            expect(batch.length === 1 || bytes <= maxBytes).to.equal(true);
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});
