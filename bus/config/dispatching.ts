import { DAY_MS, type Environment, integer, port, text, url } from './values.js';

/** Where workers find their dispatcher, and how soon the lost are noticed. */
export interface DispatchingConfig {
  /** `DISPATCHER_HOST`: address the dispatcher binds for workers. Default 127.0.0.1; 0.0.0.0 admits other machines. */
  readonly dispatcherHost: string;
  /** `DISPATCHER_PORT`: default 5555; 0 takes a free one. */
  readonly dispatcherPort: number;
  /** `DISPATCHER_URL`: where a worker finds its dispatcher. Default tcp://127.0.0.1 with `dispatcherPort`. */
  readonly dispatcherUrl: string;
  /** `LEASE_MS`: how long a claimed task stays its worker's without a renewal. Default 15000. */
  readonly leaseMs: number;
  /** `HEARTBEAT_MS`: interval of workers' and components' heartbeats. Default 1000. */
  readonly heartbeatMs: number;
  /** `SUSPECT_AFTER_MISSED`: heartbeats missed in a row until a worker is suspect. Default 2. */
  readonly suspectAfterMissed: number;
  /** `LOST_AFTER_MISSED`: heartbeats missed in a row until a worker is lost. Default 3, more than `suspectAfterMissed`. */
  readonly lostAfterMissed: number;
  /** `REAP_MS`: interval at which the monitor looks for expired leases. Default 1000. */
  readonly reapMs: number;
  /**
   * `POLL_MS`: interval at which a dispatcher looks into Redis though no nudge came. Default 100. One that has had no news for two
   * heartbeats, and hears others, looks with each heartbeat.
   */
  readonly pollMs: number;
}

export function parseDispatching(env: Environment): DispatchingConfig {
  const dispatcherPort = port(env, 'DISPATCHER_PORT', 5555);
  const suspectAfterMissed = integer(env, 'SUSPECT_AFTER_MISSED', 2, 1, 1000);
  return {
    dispatcherHost: text(env, 'DISPATCHER_HOST', '127.0.0.1'),
    dispatcherPort,
    dispatcherUrl: url(env, 'DISPATCHER_URL', `tcp://127.0.0.1:${dispatcherPort}`, /^tcp:\/\/[^\s/]+:\d{1,5}$/),
    leaseMs: integer(env, 'LEASE_MS', 15_000, 100, DAY_MS),
    heartbeatMs: integer(env, 'HEARTBEAT_MS', 1000, 10, DAY_MS),
    suspectAfterMissed,
    lostAfterMissed: integer(env, 'LOST_AFTER_MISSED', suspectAfterMissed + 1, suspectAfterMissed + 1, 1001),
    reapMs: integer(env, 'REAP_MS', 1000, 10, DAY_MS),
    pollMs: integer(env, 'POLL_MS', 100, 1, 60_000),
  };
}
