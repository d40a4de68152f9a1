import { expect } from 'chai';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';

interface Locked {
  integrity?: string;
  resolved?: string;
  hasInstallScript?: boolean;
  link?: boolean;
}

/** What `npm ci` installs is what was looked at, and nothing of it runs while it is installed. */
describe('The npm packages', () => {
  const json = (file: string): unknown => JSON.parse(readFileSync(join(PACKAGE_ROOT, file), 'utf8'));
  const { packages } = json('package-lock.json') as { packages: Record<string, Locked> };
  const { allowScripts } = json('package.json') as { allowScripts: Record<string, boolean> };
  const locked = Object.entries(packages).filter(([path]) => path !== '');

  it('are each known by their digest, and come from the index of whoever installs', () => {
    expect(locked.length).to.be.greaterThan(50);
    for (const [path, { integrity, resolved, link }] of locked) {
      expect(link, path).to.equal(undefined);
      expect(integrity, path).to.match(/^sha512-/);
      expect(resolved, path).to.equal(undefined);
    }
    // Addresses of nobody but those who are paid for their work, which npm writes down.
    const text = readFileSync(join(PACKAGE_ROOT, 'package-lock.json'), 'utf8');
    const fetched = [...text.matchAll(/"(?:resolved|version|from)": "([^"]*:\/\/[^"]*)"/g)].map(([, url]) => url);
    expect(fetched).to.deep.equal([]);
  });

  it('run nothing when they are installed, but what package.json names', () => {
    const withScripts = locked.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path);
    const names = withScripts.map((path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length));
    expect(Object.keys(allowScripts)).to.include.members(names);
    // Those that have one come with what it would make, and do without it.
    expect(Object.values(allowScripts)).to.not.include(true);
  });
});
