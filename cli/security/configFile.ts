import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { StartError } from '../startError.js';

/** Names the file of a deployment: variables, a line each, which count unless the environment has others. */
export const CONFIG_VARIABLE = 'MPCSFAAS_CONFIG';

/** Its variables; values that begin with `./` are paths beside the file. @throws StartError when it cannot be read. */
export function readConfigFile(path: string): Record<string, string> {
  const file = resolve(path);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new StartError(`The configuration ${file} cannot be read (${code}); make one with \`mpcsfaas init\`.`, {
      cause,
    });
  }
  const variables = Object.entries(parseEnv(text)).map(([name, value = '']) => {
    return [name, value.startsWith('./') ? resolve(dirname(file), value) : value];
  });
  return Object.fromEntries(variables) as Record<string, string>;
}
