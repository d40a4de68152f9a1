import type { LogFormat } from './config.js';

export type MachineName = 'task' | 'worker' | 'component';

/** What explains a transition: worker, attempt, reason, ... never a payload. */
export type TransitionDetails = Record<string, string | number | boolean | undefined>;

/**
 * The one way a transition reaches the log: a line with machine, id, from, event, to, and what explains it. Called by the hot
 * path for tasks, and by the inspector of the running machines for workers and components.
 */
export type TransitionLog = (
  machine: MachineName,
  id: string,
  from: string,
  event: string,
  to: string,
  details?: TransitionDetails,
) => void;

export interface LineStyle {
  format: LogFormat;
  /** Colours, for a terminal. */
  colour: boolean;
  /** On every JSON line: which process it is from. */
  base: Record<string, string>;
}

/**
 * Lines of transitions, at level info, as the logger would make them, at a tenth of its cost: there are three for each task.
 * For people: `12:00:01.234 info  task 5c9e... queued -> running (task.claimed) worker=w1 attempt=1`.
 */
export function transitionLog(write: (line: string) => void, { format, colour, base }: LineStyle): TransitionLog {
  if (format === 'json') {
    const fixed = JSON.stringify(base).slice(1, -1);
    const who = fixed === '' ? '' : `,${fixed}`;
    return (machine, id, from, event, to, details) => {
      let line = `{"level":30,"time":${Date.now()}${who},"machine":"${machine}","id":${JSON.stringify(id)},"from":"${from}"`;
      line += `,"event":"${event}","to":"${to}"`;
      for (const name in details) {
        const value = details[name];
        if (value !== undefined) line += `,"${name}":${JSON.stringify(value)}`;
      }
      write(`${line}}\n`);
    };
  }
  const [grey, green, cyan, bold, plain] = colour
    ? ['\u001b[90m', '\u001b[32m', '\u001b[36m', '\u001b[1m', '\u001b[0m']
    : ['', '', '', '', ''];
  const info = `${green}info ${plain}`;
  const time = clockText();
  return (machine, id, from, event, to, details) => {
    let line = `${grey}${time()}${plain} ${info} ${cyan}${machine}${plain} ${id} ${from} -> ${bold}${to}${plain} (${event})`;
    for (const name in details) {
      const value = details[name];
      if (value !== undefined) line += ` ${grey}${name}=${plain}${value}`;
    }
    write(`${line}\n`);
  };
}

/** `12:00:01.234`, UTC; made once a millisecond. */
function clockText(): () => string {
  let madeAtMs = 0;
  let text = '';
  return () => {
    const now = Date.now();
    if (now !== madeAtMs) {
      madeAtMs = now;
      text = new Date(now).toISOString().slice(11, 23);
    }
    return text;
  };
}
