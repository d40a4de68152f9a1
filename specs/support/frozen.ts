/** Processes that we have stopped (SIGSTOP). They do not notice that we are gone: when we are interrupted, they are ended. */
const frozen = new Set<number>();

process.on('exit', () => {
  for (const pid of frozen) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
});

/** To be told of every signal that is sent to a process which it may stop. */
export function noteSignal(pid: number, signal: NodeJS.Signals): void {
  if (signal === 'SIGSTOP') frozen.add(pid);
  else frozen.delete(pid);
}
