import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** What a Chromium may be called; `scripts/setup.sh` looks for the same. */
const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];

/** The machine's Chromium, as `make setup-browser` installs it; undefined where there is none, and specs in a browser are skipped. */
export const CHROMIUM: string | undefined = findChromium();

/** Nothing that asks the network for anything of its own accord, and nothing that needs a screen. */
export const CHROMIUM_FLAGS: readonly string[] = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

function findChromium(): string | undefined {
  const directories = (process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '');
  return NAMES.flatMap((name) => directories.map((directory) => join(directory, name))).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
