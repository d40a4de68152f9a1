import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environment } from '../../cli/environment.js';

/** In the environment of every process that descends from this run, whoever adopted it meanwhile. */
export const RUN_VARIABLE = 'MPCSFAAS_SPEC_RUN';
export const runId = randomUUID();

/** Specs and all that they start keep their temporary files here, so that what is left behind can be seen. */
export const temporaryRoot = mkdtempSync(join(tmpdir(), 'mpcsfaas-specs-'));

/** The Python of the specs: PYTHON, or the one that the set-up chose. */
export const PYTHON = environment()['PYTHON'] ?? 'python3';

process.env['TMPDIR'] = temporaryRoot;
process.env['PYTHON'] = PYTHON;
process.env[RUN_VARIABLE] = runId;
// Also after a run that was interrupted, and so came to no `afterAll`.
process.once('exit', () => rmSync(temporaryRoot, { recursive: true, force: true }));
