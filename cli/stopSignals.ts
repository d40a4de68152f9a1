/** The ways a person or a service manager asks a process to stop; HUP is the terminal that was closed. */
const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Calls `onFirst` at the first request to stop and `onRepeat` at each later one. Returns what ends the listening. */
export function onStopSignals(onFirst: () => void, onRepeat: () => void): () => void {
  let stopping = false;
  const listener = (): void => {
    if (stopping) {
      onRepeat();
      return;
    }
    stopping = true;
    onFirst();
  };
  for (const signal of STOP_SIGNALS) process.on(signal, listener);
  return () => {
    for (const signal of STOP_SIGNALS) process.off(signal, listener);
  };
}
