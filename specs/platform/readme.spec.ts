import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { type SpecPlatform, startPlatform } from '../support/platform.js';
import { PYTHON } from '../support/python.js';

const DEFAULT_URL = 'http://127.0.0.1:8000';
/** Code in Python, of which `print(...)  # text` promises what is printed. */
const BLOCK = /^```python\n(.*?)^```/gms;
const PROMISE = /print\(.*\) {2}# (.+)$/gm;
const AFTER_BLOCK = '--- end of block ---';

describe('The README', function () {
  this.timeout(60_000);
  let platform: SpecPlatform;
  let printed: string[];
  const readme = readFileSync(join(PACKAGE_ROOT, 'README.md'), 'utf8');
  const blocks = [...readme.matchAll(BLOCK)].map(([, code]) => code!);

  before(async () => {
    platform = await startPlatform({ env: { PYTHONDONTWRITEBYTECODE: '1', WORKER_LABELS: 'gpu' } });
    printed = (await runAll()).split(`${AFTER_BLOCK}\n`);
  });
  after(() => platform.stop());

  /** All blocks in one program, as a reader who tries one after the other would have it. */
  async function runAll(): Promise<string> {
    const program = blocks.map((code) => `${code}\nprint(${JSON.stringify(AFTER_BLOCK)}, flush=True)\n`).join('');
    const python = spawn(PYTHON, ['-'], {
      env: { ...process.env, PYTHONPATH: join(PACKAGE_ROOT, 'python'), MPCSFAAS_URL: platform.apiUrl },
    });
    const [out, err, exited] = [text(python.stdout), text(python.stderr), once(python, 'exit')];
    python.stdin.end(program.replaceAll(DEFAULT_URL, platform.apiUrl));
    const [code] = (await exited) as [number];
    if (code !== 0) expect.fail(`A block failed:\n${await err}\nafter\n${await out}`);
    return out;
  }

  blocks.forEach((code, index) => {
    const title = code.trim().split('\n').at(-1)!;
    it(`block ${index + 1} prints what it promises (${title})`, () => {
      const lines = printed[index]!.split('\n').map((line) => line.trim());
      let from = 0;
      for (const [, promised] of code.matchAll(PROMISE)) {
        const found = lines.indexOf(promised!, from);
        expect(found, `"${promised!}" among what is printed:\n${printed[index]!}`).to.be.at.least(0);
        from = found + 1;
      }
    });
  });

  it('has blocks', () => {
    expect(blocks.length).to.be.above(10);
  });
});
