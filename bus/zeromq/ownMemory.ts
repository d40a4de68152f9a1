import { Pair } from 'zeromq';

/**
 * Has zeromq.js put what is received into memory of V8's own. By itself it hands over ZeroMQ's: V8 counts that twice, does not see in a scavenge
 * that nobody needs it any more, and marks the whole heap to be rid of it, after every 22nd task with 1 MiB in and out. A copy costs a tenth of that.
 *
 * zeromq.js copies where it believes to run in Electron, which lets nobody else's memory in, and makes up its mind when it receives for the first time:
 * so here, within one call, from this process. Should a later version ask otherwise, all goes on as by itself.
 */
export function receiveIntoOwnMemory(): Promise<void> {
  return (decided ??= decide());
}

let decided: Promise<void> | undefined;

async function decide(): Promise<void> {
  const versions = Object.getOwnPropertyDescriptor(process, 'versions');
  if (!versions?.configurable) return;
  const [receiver, sender] = [new Pair({ linger: 0 }), new Pair({ linger: 0 })];
  try {
    await receiver.bind(ENDPOINT);
    sender.connect(ENDPOINT);
    await sender.send('');
    Object.defineProperty(process, 'versions', { ...versions, value: { ...process.versions, electron: '21.0.0' } });
    const received = receiver.receive(); // It is there already, and read at once.
    Object.defineProperty(process, 'versions', versions);
    await received;
  } catch {
    // As by itself.
  } finally {
    receiver.close();
    sender.close();
  }
}

const ENDPOINT = 'inproc://own-memory';
