/**
 * Runs the specs, then the Python tests, and ends with one line that counts both: `N passed, N failed`. With arguments, which go
 * to mocha (files, --grep), only those specs, in one go.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runSpecs } from './spec-batches.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

const args = process.argv.slice(2);
const counts = args.length > 0 ? [await runMocha(args)] : [...(await runSpecs(ROOT, runMocha)), await runUnittest()];
const passed = counts.reduce((sum, count) => sum + count.passed, 0);
const failed = counts.reduce((sum, count) => sum + count.failed, 0);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

async function runMocha(args, env = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'mpcsfaas-test-'));
  const countsFile = join(directory, 'counts.json');
  try {
    const mocha = [
      join(ROOT, 'node_modules', 'mocha', 'bin', 'mocha.js'),
      '--reporter',
      'scripts/mocha-reporter.cjs',
      ...args,
    ];
    const { code } = await run(process.execPath, mocha, { ...env, MOCHA_COUNTS_FILE: countsFile });
    const count = existsSync(countsFile)
      ? JSON.parse(readFileSync(countsFile, 'utf8'))
      : { passed: 0, failed: 0, summary: `mocha died of ${args.join(' ')}` };
    // A runner that died, or found a fault outside of any spec, has failed though no spec has.
    return code !== 0 && count.failed === 0 ? { ...count, failed: 1 } : count;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function runUnittest() {
  if (!existsSync(join(ROOT, 'python', 'tests'))) return { passed: 0, failed: 0 };
  const python = process.env.PYTHON || readFileSync(join(ROOT, '.platform', 'python'), 'utf8').trim();
  const { code, output } = await run(python, ['-m', 'unittest', 'discover', '-s', 'python/tests', '-t', 'python']);
  const ran = Number(/^Ran (\d+) tests?/m.exec(output)?.[1] ?? 0);
  const named = (what) => Number(new RegExp(`^(?:OK|FAILED) \\(.*\\b${what}=(\\d+)`, 'm').exec(output)?.[1] ?? 0);
  const failed = named('failures') + named('errors') + named('unexpected successes');
  return { passed: Math.max(ran - failed - named('skipped'), 0), failed: code !== 0 && failed === 0 ? 1 : failed };
}

/** Shows what the command prints as it comes, and returns what it said on stderr, where unittest speaks. */
function run(command, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'pipe'],
    });
    let output = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      output += text;
      process.stderr.write(text);
    });
    child.once('error', (error) => {
      process.stderr.write(`${error.message}\n`);
      resolve({ code: 1, output });
    });
    child.once('close', (code) => {
      resolve({ code, output });
    });
  });
}
