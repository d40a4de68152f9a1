const BITS = 32;
const RANGES = /^(\d{1,9}(-\d{1,9})?(,\d{1,9}(-\d{1,9})?)*)?$/;
/** As a JSON schema's pattern: what `IndexSet.parse` reads. */
export const RANGES_PATTERN = RANGES.source;

/** A set of positions in a group, a bit each. Its text has ranges, `0-499,502`: the cursor of a stream. */
export class IndexSet {
  private words = new Uint32Array(8);
  private count = 0;
  /** Words at the beginning that are known to be full: most of what a long stream has delivered. */
  private fullWords = 0;

  /**
   * Positions from `limit` on are left out, so that a text of a few characters cannot ask for much memory.
   * @returns undefined when the text is none of ours
   */
  static parse(text: string, limit: number): IndexSet | undefined {
    if (!RANGES.test(text)) return undefined;
    const set = new IndexSet();
    for (const range of text === '' ? [] : text.split(',')) {
      const [first = 0, last = first] = range.split('-').map(Number);
      for (let index = first; index <= last && index < limit; index++) set.add(index);
    }
    return set;
  }

  get size(): number {
    return this.count;
  }

  has(index: number): boolean {
    return (((this.words[Math.floor(index / BITS)] ?? 0) >>> (index % BITS)) & 1) === 1;
  }

  add(index: number): void {
    if (this.has(index)) return;
    const word = Math.floor(index / BITS);
    if (word >= this.words.length) {
      const grown = new Uint32Array(Math.max(2 * this.words.length, word + 1));
      grown.set(this.words);
      this.words = grown;
    }
    this.words[word] = (this.words[word] ?? 0) | (1 << (index % BITS));
    this.count++;
  }

  /** Ranges in ascending order; as many of the first ones as `maxLength` has room for. */
  toText(maxLength = Infinity): string {
    while (this.words[this.fullWords] === 0xffffffff) this.fullWords++;
    let text = '';
    let seen = 0;
    let first = -1;
    // One step beyond the last bit ends the last range. The full words need no look at each bit.
    const begin = this.fullWords * BITS;
    if (begin > 0) {
      first = 0;
      seen = begin;
    }
    for (let index = begin; seen < this.count || first >= 0; index++) {
      if (this.has(index)) {
        seen++;
        if (first < 0) first = index;
        continue;
      }
      if (first < 0) continue;
      const range = first === index - 1 ? `${first}` : `${first}-${index - 1}`;
      if (text.length + 1 + range.length > maxLength) return text;
      text = text === '' ? range : `${text},${range}`;
      first = -1;
    }
    return text;
  }
}
