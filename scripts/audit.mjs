/**
 * `make audit`: known vulnerabilities of what is installed, by npm audit and pip-audit, which is installed under .platform/ for it. Ends
 * with 1 when there are any. Where an index cannot be asked it says so; in CI (CI=true) that is a failure too, or nobody would notice.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = new URL('..', import.meta.url).pathname;
const VENV = join(ROOT, '.platform', 'audit');
const TIMEOUT_MS = 180_000;

const say = (text) => process.stdout.write(`audit: ${text}\n`);
const run = (command, args) =>
  spawnSync(command, args, { cwd: ROOT, encoding: 'utf8', timeout: TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024 });

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Each answers the vulnerabilities it found, or why it could not look. */
function auditNpm() {
  const { stdout, error } = run('npm', ['audit', '--json', '--omit=dev']);
  const report = parsed(stdout ?? '');
  if (report?.auditReportVersion === undefined) {
    return { why: report?.message ?? report?.error?.summary ?? error?.message ?? 'npm audit did not answer' };
  }
  const found = Object.values(report.vulnerabilities);
  return { found: found.map(({ name, severity, range }) => `${name} ${range}: ${severity}`) };
}

function auditPython() {
  const sitePackages = sitePackagesOf(join(ROOT, '.venv'));
  if (sitePackages === undefined) return { why: 'functions run on a Python that is not of this directory' };
  const pipAudit = join(VENV, 'bin', 'pip-audit');
  if (!existsSync(pipAudit)) {
    say('installing pip-audit under .platform/audit');
    const made = run('python3', ['-m', 'venv', VENV]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--retries', '1', '--timeout', '15', 'pip-audit'];
    const installed = made.status === 0 ? run(join(VENV, 'bin', 'python'), pip) : made;
    if (installed.status !== 0) return { why: `pip-audit cannot be installed: ${lastLine(installed.stderr)}` };
  }
  const { stdout, stderr } = run(pipAudit, ['--format', 'json', '--progress-spinner', 'off', '--path', sitePackages]);
  const report = parsed(stdout ?? '');
  if (report?.dependencies === undefined) return { why: lastLine(stderr) || 'pip-audit did not answer' };
  const vulnerable = report.dependencies.filter(({ vulns = [] }) => vulns.length > 0);
  return { found: vulnerable.map(({ name, version, vulns }) => `${name} ${version}: ${vulns.map(({ id }) => id)}`) };
}

function sitePackagesOf(venv) {
  const lib = join(venv, 'lib');
  const [python] = existsSync(lib) ? readdirSync(lib) : [];
  return python === undefined ? undefined : join(lib, python, 'site-packages');
}

const lastLine = (text) => (text ?? '').trim().split('\n').at(-1) ?? '';

let failed = false;
for (const [what, { found, why }] of [
  ['npm packages', auditNpm()],
  ['Python packages', auditPython()],
]) {
  if (found === undefined) {
    say(`${what}: NOT AUDITED, because the index of vulnerabilities cannot be asked: ${why}`);
    failed ||= process.env.CI === 'true';
  } else if (found.length === 0) say(`${what}: no known vulnerabilities`);
  else {
    say(`${what}: ${found.length} with known vulnerabilities`);
    for (const one of found) say(`  ${one}`);
    failed = true;
  }
}
process.exitCode = failed ? 1 : 0;
