import { busyPercent, describeMachine, type Machine, machineText } from './machine.js';
import { PYTHON } from '../../specs/support/python.js';
import { FULL_PACE, type Pace, QUICK_PACE } from './rounds.js';

/** Short enough for a progress line, long enough for a hundredth of a second to be a percent or two. */
const OTHERS_SAMPLE_MS = 700;

/** What the commands of the bench have in common: `[--quick] [names of parts]`. */
export interface Command {
  readonly pace: Pace;
  /** Empty: all. */
  readonly names: readonly string[];
  /** Everything, at full pace: worth keeping. */
  readonly isWhole: boolean;
  readonly machine: Machine;
  readonly secondsSinceStart: () => number;
  /** A line of progress. */
  readonly say: (text: string) => void;
  /** Says that a part begins, and keeps how busy others have the machine. */
  readonly begin: (part: string, title?: string) => Promise<void>;
  readonly othersPercent: Readonly<Record<string, number>>;
  readonly print: (text: string) => void;
}

export function openCommand(title: string): Command {
  // So that `exit` hooks remove what was started for the bench.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));
  const args = process.argv.slice(2);
  const quick = args.includes('--quick');
  const names = args.filter((arg) => !arg.startsWith('--'));
  const machine = describeMachine(PYTHON);
  const beganAt = performance.now();
  const secondsSinceStart = (): number => (performance.now() - beganAt) / 1000;
  const print = (text: string): void => {
    console.log(text);
  };
  print(`${title}${quick ? ', quick: shows that it works, its figures mean nothing' : ''}\n${machineText(machine)}\n`);
  const say = (text: string): void => {
    print(`[${secondsSinceStart().toFixed(0).padStart(4)} s] ${text}`);
  };
  const othersPercent: Record<string, number> = {};
  return {
    ...{ othersPercent, say, names, machine, secondsSinceStart, print },
    pace: quick ? QUICK_PACE : FULL_PACE,
    isWhole: names.length === 0 && !quick,
    begin: async (part, title = part) => {
      const percent = await busyPercent(OTHERS_SAMPLE_MS);
      othersPercent[part] = percent;
      say(`${title} (others use ${percent.toFixed(0)} % of the machine)`);
    },
  };
}
