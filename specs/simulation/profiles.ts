import { NO_MESSAGE_FAULTS, type MessageFaults } from './network.js';
import { type CallFaults, NO_CALL_FAULTS } from './storeServer.js';

export type IncidentKind =
  | 'dispatcherCrash'
  | 'dispatcherDrain'
  | 'dispatcherPause'
  | 'supervisorCrash'
  | 'supervisorDrain'
  | 'supervisorPause'
  | 'monitorCrash'
  | 'linkReset'
  | 'linkCut'
  | 'controlAway'
  | 'storeAway'
  | 'storeRestart'
  | 'storeFreeze'
  | 'storeClockJump'
  | 'wallClockJump';

/** What goes wrong in a run, and whether any of it is a reason to start a task twice. */
export interface Profile {
  readonly name: string;
  /** How often it is chosen, beside the others. */
  readonly weight: number;
  readonly incidents: readonly (readonly [kind: IncidentKind, weight: number])[];
  readonly incidentCount: readonly [min: number, max: number];
  /** At least so long from one incident to the next. */
  readonly apartMs: number;
  /** How long what is away stays away, in leases. */
  readonly awayLeases: readonly [min: number, max: number];
  readonly links: MessageFaults;
  readonly control: MessageFaults;
  readonly calls: CallFaults;
  /** Longest run of a function. */
  readonly longMs: number;
  readonly crashingTasks: boolean;
  /** None of this is a reason to start a task again, unless the task crashed its process. */
  readonly restartsNeedACrash: boolean;
  /** None of this may cost a task an attempt, unless the task crashed its process. */
  readonly attemptsNeedACrash: boolean;
}

const CONTROL_CHAOS: MessageFaults = { drop: 0.2, duplicate: 0.1, longDelay: 0.2, longDelayMs: 3_000 };

const QUIET: Omit<Profile, 'name' | 'weight' | 'incidents'> = {
  incidentCount: [2, 5],
  apartMs: 1_000,
  awayLeases: [0.01, 0.2],
  links: NO_MESSAGE_FAULTS,
  control: CONTROL_CHAOS,
  calls: NO_CALL_FAULTS,
  longMs: 15_000,
  crashingTasks: true,
  restartsNeedACrash: true,
  attemptsNeedACrash: false,
};

export const PROFILES: readonly Profile[] = [
  {
    ...QUIET,
    name: 'everything',
    weight: 6,
    incidents: [
      ['dispatcherCrash', 3],
      ['dispatcherDrain', 1],
      ['dispatcherPause', 2],
      ['supervisorCrash', 2],
      ['supervisorDrain', 1],
      ['supervisorPause', 3],
      ['monitorCrash', 1],
      ['linkReset', 3],
      ['linkCut', 3],
      ['controlAway', 1],
      ['storeAway', 2],
      ['storeRestart', 1],
      ['storeFreeze', 1],
      ['storeClockJump', 1],
      ['wallClockJump', 1],
    ],
    incidentCount: [4, 14],
    apartMs: 0,
    awayLeases: [0.01, 2],
    links: { drop: 0.05, duplicate: 0, longDelay: 0.05, longDelayMs: 4_000 },
    calls: { lostBefore: 0.02, lostAfter: 0.02, late: 0.01, longDelay: 0.02, longDelayMs: 4_000 },
    restartsNeedACrash: false,
  },
  {
    ...QUIET,
    name: 'dispatchers restart within the lease',
    weight: 3,
    incidents: [
      ['dispatcherCrash', 4],
      ['dispatcherDrain', 1],
      ['monitorCrash', 1],
      ['wallClockJump', 1],
    ],
    apartMs: 8_000,
  },
  {
    ...QUIET,
    name: 'the store restarts',
    weight: 2,
    incidents: [['storeRestart', 1]],
    incidentCount: [1, 2],
    apartMs: 30_000,
    awayLeases: [0.1, 2.5],
    longMs: 60_000,
    attemptsNeedACrash: true,
  },
  {
    // Without a restart: nobody could renew meanwhile, and nobody may lose a task for it.
    ...QUIET,
    name: 'the store stands still',
    weight: 2,
    incidents: [
      ['storeFreeze', 3],
      ['storeAway', 1],
      ['storeClockJump', 1],
      ['monitorCrash', 1],
    ],
    incidentCount: [1, 3],
    apartMs: 20_000,
    awayLeases: [0.1, 2.5],
    longMs: 60_000,
    attemptsNeedACrash: true,
  },
  {
    // Longer than workers wait, shorter than a lease: others take over, and what the stopped one believes is refused.
    ...QUIET,
    name: 'dispatchers stop and go on',
    weight: 2,
    incidents: [
      ['dispatcherPause', 4],
      ['monitorCrash', 1],
    ],
    incidentCount: [2, 4],
    apartMs: 12_000,
    awayLeases: [0.2, 0.6],
    longMs: 40_000,
  },
  {
    ...QUIET,
    name: 'control events are lost',
    weight: 1,
    attemptsNeedACrash: true,
    incidents: [
      ['controlAway', 2],
      ['monitorCrash', 2],
      ['wallClockJump', 1],
    ],
    awayLeases: [0.1, 2],
    control: { drop: 0.7, duplicate: 0.3, longDelay: 0.3, longDelayMs: 10_000 },
  },
  {
    ...QUIET,
    name: 'links lose messages',
    weight: 3,
    incidents: [
      ['linkReset', 3],
      ['linkCut', 1],
    ],
    incidentCount: [2, 10],
    links: { drop: 0.1, duplicate: 0, longDelay: 0.1, longDelayMs: 2_000 },
    awayLeases: [0.1, 1],
    restartsNeedACrash: false,
  },
  {
    ...QUIET,
    name: 'workers die and come back',
    weight: 3,
    incidents: [
      ['supervisorCrash', 2],
      ['supervisorPause', 3],
      ['supervisorDrain', 1],
    ],
    incidentCount: [3, 8],
    awayLeases: [0.1, 2],
    restartsNeedACrash: false,
  },
  {
    ...QUIET,
    name: 'actors are drained',
    weight: 2,
    attemptsNeedACrash: true,
    incidents: [
      ['supervisorDrain', 3],
      ['dispatcherDrain', 2],
    ],
    apartMs: 3_000,
  },
  {
    ...QUIET,
    name: 'store calls fail',
    weight: 2,
    attemptsNeedACrash: true,
    incidents: [
      ['storeAway', 2],
      ['storeFreeze', 1],
      ['linkReset', 2],
    ],
    apartMs: 8_000,
    calls: { lostBefore: 0.05, lostAfter: 0.05, late: 0.02, longDelay: 0.05, longDelayMs: 1_500 },
  },
];
