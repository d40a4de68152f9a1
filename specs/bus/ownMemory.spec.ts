import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';

/** In a process of its own, since the first message that a process receives decides. Memory of V8's own can be handed on, ZeroMQ's cannot. */
const receives = (before: string): string => `
  import { Pair } from 'zeromq';
  import { receiveIntoOwnMemory } from './dist/bus/zeromq/ownMemory.js';
  ${before}
  const [receiver, sender] = [new Pair(), new Pair()];
  await receiver.bind('tcp://127.0.0.1:*');
  sender.connect(receiver.lastEndpoint);
  await sender.send(Buffer.alloc(1_000_000, 'x'));
  const [value] = await receiver.receive();
  const isWhole = value.equals(Buffer.alloc(1_000_000, 'x'));
  structuredClone(value.buffer, { transfer: [value.buffer] });
  console.log(isWhole, value.length === 0, process.versions.electron, process.versions.node === ${JSON.stringify(process.versions.node)});
`;

async function told(before: string): Promise<string> {
  const args = ['--input-type=module', '--eval', receives(before)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: PACKAGE_ROOT, timeout: 10_000 });
  return stdout.trim();
}

describe('what is received by ZeroMQ', () => {
  it("lies in memory of V8's own once that was asked for, and the process is what it was", async () => {
    expect(await told('await Promise.all([receiveIntoOwnMemory(), receiveIntoOwnMemory()]);')).to.equal(
      'true true undefined true',
    );
  });

  it("lies in ZeroMQ's otherwise", async () => {
    expect(await told('void receiveIntoOwnMemory;')).to.equal('true false undefined true');
  });
});
