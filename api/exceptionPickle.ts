import type { Failure, FailureType } from '../bus/messages.js';

/** Where Python has an exception of its own for a failure; clients can then catch it by the name they know. */
const PYTHON_CLASSES: Partial<Record<FailureType, [module: string, name: string]>> = {
  Timeout: ['builtins', 'TimeoutError'],
  MemoryLimit: ['builtins', 'MemoryError'],
  Cancelled: ['concurrent.futures._base', 'CancelledError'],
};
const ANY_OTHER_FAILURE: [module: string, name: string] = ['builtins', 'RuntimeError'];

/**
 * The pickle (protocol 4, so Python 3.4 and later) of the exception that stands for a failure the platform made itself: of a
 * standard-library class, with the failure's name at the start of its text, such as `WorkerFailure: ...`.
 */
export function exceptionPickle(failure: Failure): Buffer {
  const [module, name] = PYTHON_CLASSES[failure.type] ?? ANY_OTHER_FAILURE;
  return Buffer.concat([
    Buffer.from('\x80\x04', 'latin1'), // PROTO 4
    unicode(module),
    unicode(name),
    Buffer.from('\x93', 'latin1'), // STACK_GLOBAL: the class
    unicode(`${failure.type}: ${failure.message}`),
    Buffer.from('\x85R.', 'latin1'), // TUPLE1 REDUCE STOP: the class called with the text
  ]);
}

/** BINUNICODE: `X`, the length in UTF-8 bytes, the bytes. */
function unicode(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  const head = Buffer.allocUnsafe(5);
  head[0] = 0x58;
  head.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}
