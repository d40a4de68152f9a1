import type { Fault } from './fault.js';
import { DISPATCHER_FAULTS } from './faults/dispatcher.js';
import { MOMENT_FAULTS } from './faults/moments.js';
import { NETWORK_FAULTS } from './faults/network.js';
import { PARTITION_FAULTS } from './faults/partition.js';
import { PROCESS_FAULTS } from './faults/processes.js';
import { REDIS_FAULTS } from './faults/redis.js';
import { REPLICA_FAULTS } from './faults/replicas.js';
import { RESOURCE_FAULTS } from './faults/resources.js';

/** Everything that the platform is to survive, in the order of the suite. */
export const FAULTS: readonly Fault[] = [
  ...PROCESS_FAULTS,
  ...DISPATCHER_FAULTS,
  ...MOMENT_FAULTS,
  ...REPLICA_FAULTS,
  ...REDIS_FAULTS,
  ...NETWORK_FAULTS,
  ...PARTITION_FAULTS,
  ...RESOURCE_FAULTS,
];
