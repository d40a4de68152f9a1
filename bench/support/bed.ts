import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { type PlatformOptions, type SpecPlatform, startPlatform } from '../../specs/support/platform.js';
import { PYTHON, PythonClient } from '../../specs/support/python.js';
import { Program } from './program.js';

export const PYTHON_SCRIPTS = join(PACKAGE_ROOT, 'bench', 'python');
/** The functions of the bench, as source. */
export const FUNCTIONS = join(PYTHON_SCRIPTS, 'functions.py');
const NAMES = ['noop', 'nap', 'echo', 'spin'] as const;
export type FunctionName = (typeof NAMES)[number];

/** A platform with the functions of the bench on it. */
export interface Bed {
  readonly platform: SpecPlatform;
  readonly functionIds: Readonly<Record<FunctionName, string>>;
  /** Our Python client, which understands the questions of `questions.py`. */
  readonly client: Program;
  /** Pickle of `((argument,), {})`, argument an expression of Python. */
  readonly pickle: (argument: string) => Promise<Buffer>;
  stop(): Promise<void>;
}

/** Logs as `make up` does: at level info, for people, into files. */
const DEFAULTS = { LOG_FORMAT: 'pretty' };

export async function startBed(options: PlatformOptions = {}): Promise<Bed> {
  const platform = await startPlatform({ ...options, env: { ...DEFAULTS, ...options.env } });
  const python = new PythonClient();
  try {
    const source = readFileSync(FUNCTIONS, 'utf8');
    const ids = await Promise.all(
      NAMES.map(async (name) => {
        const payload = await python.pickleFunction(source, name);
        const { body } = await platform.call('POST', '/register_function', { name, payload });
        return [name, (body as { function_id: string }).function_id] as const;
      }),
    );
    const functionIds = Object.fromEntries(ids) as Record<FunctionName, string>;
    const client = await startScript('platform_client.py', [platform.apiUrl, JSON.stringify(functionIds)]);
    const stop = async (): Promise<void> => {
      await Promise.all([client.stop(), python.stop()]);
      await platform.stop();
    };
    const pickle = async (argument: string): Promise<Buffer> =>
      Buffer.from(await python.pickle(`((${argument},), {})`), 'base64');
    return { platform, functionIds, client, pickle, stop };
  } catch (error) {
    await python.stop();
    await platform.stop();
    throw error;
  }
}

/** A script of `bench/python/` on the Python that the platform uses. */
export const startScript = (name: string, args: readonly string[] = []): Promise<Program> =>
  Program.start({ command: PYTHON, args: [join(PYTHON_SCRIPTS, name), ...args] });

/** Runs `use` on a bed of its own, which is gone afterwards. */
export async function withBed<Result>(options: PlatformOptions, use: (bed: Bed) => Promise<Result>): Promise<Result> {
  const bed = await startBed(options);
  try {
    return await use(bed);
  } finally {
    await bed.stop();
  }
}
