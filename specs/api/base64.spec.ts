import { expect } from 'chai';
import fc from 'fast-check';
import { execFileSync } from 'node:child_process';
import { decodeBase64, encodeBase64Json } from '../../api/base64.js';
import { PYTHON } from '../support/python.js';

/** What Python's `codecs.encode(data, "base64")` makes, in other words. */
const inLines = (bytes: Buffer): string => bytes.toString('base64').replace(/.{1,76}/g, '$&\n');

describe('base64', () => {
  it('is written as Python writes it', () => {
    const lengths = [0, 1, 2, 3, 56, 57, 58, 113, 114, 115, 1000, 100_000];
    const script =
      'import codecs, sys\nfor n in sys.argv[1:]: print(repr(codecs.encode(b"\\xfb" * int(n), "base64").decode()))';
    const lines = execFileSync(PYTHON, ['-c', script, ...lengths.map(String)], { encoding: 'utf8' })
      .trimEnd()
      .split('\n');
    lengths.forEach((length, index) => {
      expect(`'${encodeBase64Json(Buffer.alloc(length, 0xfb))}'`).to.equal(lines[index]);
    });
  });

  it('is JSON that parses to lines of 76 characters, for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (array) => {
        const bytes = Buffer.from(array);
        return JSON.parse(`"${encodeBase64Json(bytes)}"`) === inLines(bytes);
      }),
    );
  });

  it('is read with any line ends, and without', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 500 }), (array) => {
        const bytes = Buffer.from(array);
        const texts = [bytes.toString('base64'), inLines(bytes), inLines(bytes).replaceAll('\n', '\r\n')];
        for (const text of texts) expect(decodeBase64(text)).to.deep.equal(bytes);
      }),
    );
  });

  it('is refused when any character is not of it', () => {
    const characters = fc.constantFrom(' ', '-', '_', '\t', '\0', '.', 'é', 'Ł', '😀', '=', '%');
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 3, maxLength: 90 }), characters, fc.nat(), (array, character, at) => {
        const bytes = Buffer.from(array.subarray(0, array.length - (array.length % 3)));
        const text = inLines(bytes);
        const position = at % (text.length - 4);
        const replaced = text.slice(0, position) + character + text.slice(position + 1);
        expect(decodeBase64(replaced)).to.be.a('string');
        const inserted = text.slice(0, position) + character + text.slice(position);
        expect(decodeBase64(inserted)).to.be.a('string');
      }),
    );
  });

  it('is refused when it is cut', () => {
    for (const text of ['Q', 'QU', 'QUI', 'QQ=', 'QUJDR', '=', '====', 'Q===', '\r\n']) {
      expect(decodeBase64(text), text).to.be.a('string');
    }
  });
});
