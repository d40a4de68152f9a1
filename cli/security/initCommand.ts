import { integer } from '../../bus/config/values.js';
import { ConfigError, MODES } from '../../bus/config.js';
import { initDeployment } from './deployment.js';

export interface InitCommand {
  host?: string;
  apiPort: string;
  dispatcherPort: string;
  mode: string;
}

/** `mpcsfaas init`: the first API key alone on stdout, all else on stderr. */
export function init(directory: string, { host, apiPort, dispatcherPort, mode }: InitCommand): void {
  if (!MODES.some((one) => one === mode)) throw new ConfigError('--mode', mode, `one of ${MODES.join(', ')}`);
  if (host !== undefined && !/^[\w.:-]{1,253}$/.test(host))
    throw new ConfigError('--host', host, 'a name or an address');
  const { config, apiKey } = initDeployment({
    directory,
    mode,
    ...(host !== undefined && { host }),
    apiPort: integer({ port: apiPort }, 'port', 0, 1, 65_535),
    dispatcherPort: integer({ port: dispatcherPort }, 'port', 0, 1, 65_534),
  });
  const note = (line: string): unknown => process.stderr.write(`${line}\n`);
  note('The first API key, with all rights, shown this once:');
  process.stdout.write(`${apiKey}\n`);
  note(`Made ${config} and what it names. Start the platform with`);
  note(`  mpcsfaas up --config ${config}`);
  note('and let a worker machine in with');
  note(`  mpcsfaas worker-token NAME --config ${config}`);
  if (host === undefined) note('Everything listens on 127.0.0.1; with --host it would be open to other machines.');
}
