/**
 * The opcodes of Python's pickle, protocols 0 to 5, as `Lib/pickletools.py` documents them: what follows an opcode in the stream,
 * and what it takes from and leaves on the unpickler's stack.
 */

/** What follows the opcode byte. */
export const ARGUMENT = {
  unknownOpcode: 0,
  none: 1,
  byte: 2,
  twoBytes: 3,
  fourBytes: 4,
  eightBytes: 5,
  /** A length of that many bytes, little endian, and as many bytes as it says. */
  bytesAfter1: 6,
  bytesAfter4: 7,
  bytesAfterSigned4: 8,
  bytesAfter8: 9,
  /** Text to the end of the line. */
  line: 10,
  twoLines: 11,
  integerLine: 12,
  floatLine: 13,
  quotedLine: 14,
  /** Memo index written and read: one byte, four bytes, a decimal line. */
  put1: 15,
  put4: 16,
  putLine: 17,
  get1: 18,
  get4: 19,
  getLine: 20,
  memoize: 21,
  protocol: 22,
  frame: 23,
  stop: 24,
  /** References to what is not in the pickle: an id on the stack, and one in a line of text, which no client of ours writes. */
  reference: 25,
  referenceLine: 26,
} as const;
export type Argument = (typeof ARGUMENT)[keyof typeof ARGUMENT];

/** What the opcode does to the stack besides taking `pops` and leaving `pushes` items. */
export const STACK = {
  plain: 0,
  setsMark: 1,
  /** Takes everything above the topmost mark, and the mark; `pops` counts items below the mark. */
  toMark: 2,
  /** POP: takes an item, or the mark when that is on top. */
  itemOrMark: 3,
} as const;

type StackEffect = (typeof STACK)[keyof typeof STACK];
type Row = [opcode: string, argument: Argument, pops: number, pushes: number, effect?: StackEffect];

const { plain, setsMark, toMark, itemOrMark } = STACK;
const A = ARGUMENT;

// prettier-ignore
const TABLE: Row[] = [
  // numbers
  ['I', A.integerLine, 0, 1], ['J', A.fourBytes, 0, 1], ['K', A.byte, 0, 1], ['M', A.twoBytes, 0, 1],
  ['L', A.integerLine, 0, 1], ['\x8a', A.bytesAfter1, 0, 1], ['\x8b', A.bytesAfterSigned4, 0, 1],
  ['F', A.floatLine, 0, 1], ['G', A.eightBytes, 0, 1],
  // None, True, False
  ['N', A.none, 0, 1], ['\x88', A.none, 0, 1], ['\x89', A.none, 0, 1],
  // texts and bytes
  ['S', A.quotedLine, 0, 1], ['T', A.bytesAfterSigned4, 0, 1], ['U', A.bytesAfter1, 0, 1],
  ['B', A.bytesAfter4, 0, 1], ['C', A.bytesAfter1, 0, 1], ['\x8e', A.bytesAfter8, 0, 1], ['\x96', A.bytesAfter8, 0, 1],
  ['V', A.line, 0, 1], ['X', A.bytesAfter4, 0, 1], ['\x8c', A.bytesAfter1, 0, 1], ['\x8d', A.bytesAfter8, 0, 1],
  ['\x97', A.none, 0, 1], ['\x98', A.none, 1, 1],
  // lists, tuples, dicts, sets
  [']', A.none, 0, 1], ['a', A.none, 2, 1], ['e', A.none, 1, 1, toMark], ['l', A.none, 0, 1, toMark],
  [')', A.none, 0, 1], ['t', A.none, 0, 1, toMark], ['\x85', A.none, 1, 1], ['\x86', A.none, 2, 1], ['\x87', A.none, 3, 1],
  ['}', A.none, 0, 1], ['d', A.none, 0, 1, toMark], ['s', A.none, 3, 1], ['u', A.none, 1, 1, toMark],
  ['\x8f', A.none, 0, 1], ['\x90', A.none, 1, 1, toMark], ['\x91', A.none, 0, 1, toMark],
  // the stack itself
  ['0', A.none, 1, 0, itemOrMark], ['1', A.none, 0, 0, toMark], ['2', A.none, 1, 2], ['(', A.none, 0, 0, setsMark],
  // the memo
  ['p', A.putLine, 1, 1], ['q', A.put1, 1, 1], ['r', A.put4, 1, 1], ['\x94', A.memoize, 1, 1],
  ['g', A.getLine, 0, 1], ['h', A.get1, 0, 1], ['j', A.get4, 0, 1],
  // classes, functions and their instances
  ['c', A.twoLines, 0, 1], ['\x93', A.none, 2, 1], ['\x82', A.byte, 0, 1], ['\x83', A.twoBytes, 0, 1], ['\x84', A.fourBytes, 0, 1],
  ['R', A.none, 2, 1], ['b', A.none, 2, 1], ['i', A.twoLines, 0, 1, toMark], ['o', A.none, 0, 1, toMark],
  ['\x81', A.none, 2, 1], ['\x92', A.none, 3, 1], ['P', A.referenceLine, 0, 1], ['Q', A.reference, 1, 1],
  // the stream itself
  ['\x80', A.protocol, 0, 0], ['\x95', A.frame, 0, 0], ['.', A.stop, 1, 0],
];

/** The table by opcode, in arrays of bytes because the walk over a large pickle visits hundreds of thousands of them. */
export const ARGUMENT_OF = new Uint8Array(256);
export const POPS_OF = new Uint8Array(256);
export const PUSHES_OF = new Uint8Array(256);
export const EFFECT_OF = new Uint8Array(256);

for (const [opcode, argument, pops, pushes, effect = plain] of TABLE) {
  const code = opcode.charCodeAt(0);
  ARGUMENT_OF[code] = argument;
  POPS_OF[code] = pops;
  PUSHES_OF[code] = pushes;
  EFFECT_OF[code] = effect;
}
