import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { environment } from '../../cli/environment.js';

/** In the environment of every process that descends from this run, whoever adopted it meanwhile. */
export const RUN_VARIABLE = 'MPCSFAAS_SPEC_RUN';
export const runId = randomUUID();

/** Specs and all that they start keep their temporary files here, so that what is left behind can be seen. */
export const temporaryRoot = mkdtempSync(join(tmpdir(), 'mpcsfaas-specs-'));
// To be passed through by another user, whom functions may run as.
chmodSync(temporaryRoot, 0o711);

/** The Python of the specs: PYTHON, or the one that the set-up chose. */
export const PYTHON = environment()['PYTHON'] ?? 'python3';

process.env['TMPDIR'] = temporaryRoot;
process.env['PYTHON'] = PYTHON;
// Functions write into these folders, which are nobody else's; specs of the sandbox name its user themselves.
process.env['SANDBOX_USER'] ??= userInfo().username;
process.env['WORKER_ENV'] = RUN_VARIABLE;
process.env[RUN_VARIABLE] = runId;
// Also after a run that was interrupted, and so came to no `afterAll`.
process.once('exit', () => rmSync(temporaryRoot, { recursive: true, force: true }));
