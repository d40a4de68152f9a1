/** Sentences about the ends of processes, for results and for the operator. */
import type { ProcessEnd } from './processParts.js';

/** The runtime's exit code for an interpreter that cannot run it; its reason is on stderr. */
export const EXIT_CANNOT_RUN = 3;

/** Its exit code for a defect of its own, whose traceback is on stderr. */
const EXIT_RUNTIME_FAILED = 72;

/** Its exit code for a task after which private descriptors are found closed. */
const EXIT_SPOILT = 73;
/** Its exit codes for a pipe that was closed, or that holds what no pool wrote. */
const EXIT_WIRE_LOST = 70;
const EXIT_WIRE_CORRUPT = 71;

/** A task closed descriptors that were not its own, or wrote to them. */
export function hasLostWire({ reason, exitCode }: ProcessEnd): boolean {
  return (
    reason === 'corrupt' || (reason === 'itself' && (exitCode === EXIT_WIRE_LOST || exitCode === EXIT_WIRE_CORRUPT))
  );
}

export function endWords(end: ProcessEnd): string {
  const { exitCode, signal, stderr } = end;
  if (exitCode === EXIT_RUNTIME_FAILED) return `the Python runtime itself failed; please report it: ${stderr}`;
  if (hasLostWire(end) || exitCode === EXIT_SPOILT)
    return 'the Python process lost its connection: a task closed or wrote to file descriptors it had not opened';
  if (signal === 'SIGKILL')
    return 'the Python process was killed by SIGKILL while running the task; unless somebody did it, the machine had run out of memory';
  if (signal !== null) return `the Python process was killed by ${signal} while running the task`;
  return `the Python process exited with code ${exitCode ?? 'unknown'} while running the task`;
}

/** Why a process never became ready, and what to do. */
export function startFailureWords(python: string, { reason, error, exitCode, signal, stderr }: ProcessEnd): string {
  if (error !== undefined) {
    const missing = 'code' in error && error.code === 'ENOENT';
    return missing
      ? `There is no Python at '${python}': install Python 3.9 or later, or name another interpreter.`
      : `Python '${python}' cannot be started: ${error.message}.`;
  }
  if (exitCode === EXIT_CANNOT_RUN) return `Python '${python}' cannot run functions. ${stderr}`;
  const ended = signal === null ? `exited with code ${exitCode ?? 'unknown'}` : `was killed by ${signal}`;
  const how = reason === 'hung' ? 'hung' : ended;
  return `Python '${python}' ${how} at start, repeatedly. Run it by hand, and install dill for it. It said: ${stderr || 'nothing'}`;
}
