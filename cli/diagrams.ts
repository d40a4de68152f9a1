import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { componentMachine } from '../actors/lifecycles/componentMachine.js';
import { mermaidDiagram } from '../actors/lifecycles/diagram.js';
import { taskMachine } from '../actors/lifecycles/taskMachine.js';
import { workerMachine } from '../actors/lifecycles/workerMachine.js';
import { PACKAGE_ROOT } from '../bus/packageRoot.js';

/**
 * Writes the machines' diagrams into ARCHITECTURE.md, between `<!-- diagram: NAME -->` and `<!-- end -->`. With `--check` it only
 * tells whether they are up to date.
 */
const FILE = join(PACKAGE_ROOT, 'ARCHITECTURE.md');
const MACHINES = { task: taskMachine, worker: workerMachine, component: componentMachine };

const before = readFileSync(FILE, 'utf8');
let after = before;
for (const [name, machine] of Object.entries(MACHINES)) {
  const place = new RegExp(`(<!-- diagram: ${name} -->\n)[^]*?(<!-- end -->)`);
  if (!place.test(after)) throw new Error(`ARCHITECTURE.md has no place for the diagram of the ${name} machine`);
  after = after.replace(place, `$1\n\`\`\`mermaid\n${mermaidDiagram(machine)}\n\`\`\`\n\n$2`);
}

if (!process.argv.includes('--check')) writeFileSync(FILE, after);
else if (before !== after) {
  process.stderr.write('ARCHITECTURE.md does not show the machines as they are; run `make diagrams`.\n');
  process.exitCode = 1;
}
