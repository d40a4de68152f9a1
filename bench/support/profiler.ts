/**
 * Loaded into a process of the platform by `NODE_OPTIONS=--import=...`: SIGUSR2 starts a profile, a second one writes it to
 * `MPCSFAAS_PROFILES`/<pid>.json. (Node 20 takes `--cpu-prof` from no NODE_OPTIONS, and would count the start of the process.)
 */
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { join } from 'node:path';

const SAMPLE_EVERY_US = 250;

const session = new Session();
let running = false;

process.on('SIGUSR2', () => {
  if (!running) {
    session.connect();
    session.post('Profiler.enable');
    session.post('Profiler.setSamplingInterval', { interval: SAMPLE_EVERY_US });
    session.post('Profiler.start');
    running = true;
    return;
  }
  session.post('Profiler.stop', (error, answer) => {
    if (error) throw error;
    const file = join(process.env['MPCSFAAS_PROFILES'] ?? '.', `${process.pid}.json`);
    writeFileSync(file, JSON.stringify(answer.profile));
  });
});
