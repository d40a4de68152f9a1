import { ARGUMENT, ARGUMENT_OF, EFFECT_OF, POPS_OF, PUSHES_OF, STACK } from './pickleOpcodes.js';

const HIGHEST_PROTOCOL = 5;
const NEWLINE = 0x0a;
/** Nested containers that are open at once; Python's own recursion limit is far below. Bounds the memory of a check to 8 MB. */
const MAX_OPEN_MARKS = 1_000_000;
const TRUNCATED = 'is cut off inside an opcode';
const UNDERFLOW = 'takes more from its stack than there is';
const INTEGER = /^[-+]?\d+L?$/;
const FLOAT = /^[-+]?(\d+(\.\d*)?([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?|inf|nan)$/;
const QUOTED = /^('.*'|".*")$/s;
const MEMO_INDEX = /^\d{1,15}$/;

/**
 * Whether the bytes are one whole pickle, found by walking its opcodes; nothing is ever loaded, so a hostile pickle is harmless
 * here. A pickle that passes may still fail to load, for want of a module for example; that is the runtime's to say.
 *
 * Linear in the number of bytes: about 10 ns per opcode, and long strings are stepped over.
 *
 * @param mayRefer to values of other tasks, by persistent ids; which ones only the runtime sees
 * @returns undefined when it is, else the end of a sentence that says why not ("ends before its STOP opcode", ...)
 */
export function pickleProblem(pickle: Buffer, mayRefer = false): string | undefined {
  return pickle.length === 0 ? 'is empty' : new PickleWalk(pickle, mayRefer).findProblem();
}

/** One walk from the first opcode to STOP. Fields: position in the bytes, depth of the unpickler's stack, size of its memo. */
class PickleWalk {
  private at = 0;
  private depth = 0;
  /** Depth of the topmost mark: opcodes may not take items below it. */
  private fence = 0;
  private readonly outerFences: number[] = [];
  private memoWrites = 0;
  private highestMemoIndex = -1;

  constructor(
    private readonly bytes: Buffer,
    private readonly mayRefer: boolean,
  ) {}

  findProblem(): string | undefined {
    const { bytes } = this;
    const end = bytes.length;
    while (this.at < end) {
      const start = this.at++;
      const opcode = bytes[start] ?? 0;
      const argument = ARGUMENT_OF[opcode] ?? ARGUMENT.unknownOpcode;
      if (argument !== ARGUMENT.none) {
        const problem = this.argument(argument, opcode);
        if (problem !== undefined) return `${problem} (opcode at byte ${start})`;
      }
      const trouble = this.moveStack(opcode);
      if (trouble !== undefined) return `${trouble} (opcode at byte ${start})`;
      if (argument === ARGUMENT.stop) {
        const left = end - this.at;
        return left === 0 ? undefined : `goes on for ${left} bytes after its STOP opcode`;
      }
    }
    return 'ends before its STOP opcode';
  }

  /** Steps over what follows the opcode. */
  private argument(argument: number, opcode: number): string | undefined {
    switch (argument) {
      case ARGUMENT.byte:
        return this.skip(1);
      case ARGUMENT.twoBytes:
        return this.skip(2);
      case ARGUMENT.fourBytes:
        return this.skip(4);
      case ARGUMENT.eightBytes:
        return this.skip(8);
      case ARGUMENT.bytesAfter1:
      case ARGUMENT.bytesAfter4:
      case ARGUMENT.bytesAfterSigned4:
      case ARGUMENT.bytesAfter8:
        return this.skipCounted(argument);
      case ARGUMENT.line:
        return this.line() === undefined ? TRUNCATED : undefined;
      case ARGUMENT.twoLines:
        return this.line() === undefined || this.line() === undefined ? TRUNCATED : undefined;
      case ARGUMENT.integerLine:
        return this.lineLike(INTEGER, 'a number');
      case ARGUMENT.floatLine:
        return this.lineLike(FLOAT, 'a number');
      case ARGUMENT.quotedLine:
        return this.lineLike(QUOTED, 'a quoted text');
      case ARGUMENT.put1:
      case ARGUMENT.put4:
      case ARGUMENT.putLine:
        return this.writeMemo(argument);
      case ARGUMENT.get1:
      case ARGUMENT.get4:
      case ARGUMENT.getLine:
        return this.readMemo(argument);
      case ARGUMENT.memoize:
        this.highestMemoIndex = Math.max(this.highestMemoIndex, this.memoWrites++);
        return undefined;
      case ARGUMENT.protocol:
        return this.protocol();
      case ARGUMENT.frame:
        return this.frame();
      case ARGUMENT.reference:
        return this.mayRefer ? undefined : 'refers to the value of another task, and there is no `depends_on`';
      case ARGUMENT.referenceLine:
        return 'refers to something outside by a persistent id of protocol 0';
      case ARGUMENT.stop:
        return undefined;
      default:
        return `has the unknown opcode 0x${opcode.toString(16).padStart(2, '0')}`;
    }
  }

  private moveStack(opcode: number): string | undefined {
    const pops = POPS_OF[opcode] ?? 0;
    switch (EFFECT_OF[opcode]) {
      case STACK.setsMark:
        if (this.outerFences.length === MAX_OPEN_MARKS) return 'is nested too deeply';
        this.outerFences.push(this.fence);
        this.fence = this.depth;
        return undefined;
      case STACK.itemOrMark:
        if (this.depth === this.fence && this.dropToMark()) return undefined;
        break;
      case STACK.toMark:
        if (!this.dropToMark()) return UNDERFLOW;
        break;
      default:
        break;
    }
    if (this.depth - this.fence < pops) return UNDERFLOW;
    this.depth += (PUSHES_OF[opcode] ?? 0) - pops;
    return undefined;
  }

  private dropToMark(): boolean {
    const outer = this.outerFences.pop();
    if (outer === undefined) return false;
    this.depth = this.fence;
    this.fence = outer;
    return true;
  }

  private skip(count: number): string | undefined {
    if (count > this.bytes.length - this.at) return TRUNCATED;
    this.at += count;
    return undefined;
  }

  private skipCounted(argument: number): string | undefined {
    const length = this.unsigned(argument === ARGUMENT.bytesAfter1 ? 1 : argument === ARGUMENT.bytesAfter8 ? 8 : 4);
    if (length === undefined) return TRUNCATED;
    if (argument === ARGUMENT.bytesAfterSigned4 && length > 0x7fffffff) return 'has a negative length';
    return this.skip(length) && this.absurdLength(length);
  }

  private absurdLength(length: number): string {
    return `announces ${length} bytes where ${this.bytes.length - this.at} follow`;
  }

  private frame(): string | undefined {
    const length = this.unsigned(8);
    if (length === undefined) return TRUNCATED;
    return length > this.bytes.length - this.at ? this.absurdLength(length) : undefined;
  }

  private protocol(): string | undefined {
    const protocol = this.unsigned(1);
    if (protocol === undefined) return TRUNCATED;
    return protocol > HIGHEST_PROTOCOL ? `is of the unknown protocol ${protocol}` : undefined;
  }

  private writeMemo(argument: number): string | undefined {
    const index = this.memoIndex(argument);
    if (typeof index === 'string') return index;
    // Picklers count memo indexes up by one; a larger one only serves to make the unpickler allocate.
    if (index >= this.bytes.length) return `writes the absurd memo index ${index}`;
    this.memoWrites++;
    this.highestMemoIndex = Math.max(this.highestMemoIndex, index);
    return undefined;
  }

  private readMemo(argument: number): string | undefined {
    const index = this.memoIndex(argument);
    if (typeof index === 'string') return index;
    return index > this.highestMemoIndex ? `reads memo index ${index}, which it has not written` : undefined;
  }

  private memoIndex(argument: number): number | string {
    if (argument === ARGUMENT.put1 || argument === ARGUMENT.get1) return this.unsigned(1) ?? TRUNCATED;
    if (argument === ARGUMENT.put4 || argument === ARGUMENT.get4) return this.unsigned(4) ?? TRUNCATED;
    const line = this.line();
    if (line === undefined) return TRUNCATED;
    const digits = this.bytes.toString('latin1', line, this.at - 1);
    return MEMO_INDEX.test(digits) ? Number(digits) : 'has a memo index that is not a number';
  }

  /** A little-endian number of 1, 4 or 8 bytes; exact as far as it can be a length of anything. */
  private unsigned(size: 1 | 4 | 8): number | undefined {
    const { bytes, at } = this;
    if (size > bytes.length - at) return undefined;
    this.at += size;
    if (size === 1) return bytes[at];
    const low = bytes.readUInt32LE(at);
    return size === 4 ? low : low + bytes.readUInt32LE(at + 4) * 2 ** 32;
  }

  /** Steps over a line and answers where it began. */
  private line(): number | undefined {
    const start = this.at;
    const newline = this.bytes.indexOf(NEWLINE, start);
    if (newline < 0) return undefined;
    this.at = newline + 1;
    return start;
  }

  private lineLike(form: RegExp, what: string): string | undefined {
    const start = this.line();
    if (start === undefined) return TRUNCATED;
    return form.test(this.bytes.toString('latin1', start, this.at - 1)) ? undefined : `has a line that is not ${what}`;
  }
}
