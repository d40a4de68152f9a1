import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../bus/packageRoot.js';
import { PYTHON } from '../../specs/support/python.js';
import { PYTHON_SCRIPTS } from '../support/bed.js';
import { type Installed, installNode, installPython, NODE_DIRECTORY, PEER_PYTHON } from './installation.js';

export interface Peer {
  readonly name: string;
  /** What its figures were measured with. */
  readonly settings: string;
  /** Survives the death of all its processes. */
  readonly durable: boolean;
  /** Held against the targets, which name three peers as they install. */
  readonly inTargets?: 'celery' | 'dask' | 'parsl';
  readonly needsRedis: boolean;
  readonly command: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  install(): Promise<Installed>;
}

const script = (name: string): string => join(PYTHON_SCRIPTS, 'peers', name);
const nothing = (): Promise<Installed> => Promise.resolve({ version: '' });
const celeryPackage = () => installPython('celery', ['celery', 'redis', 'packaging']);
const daskPackage = () => installPython('distributed', ['distributed']);
const parslPackage = () => installPython('parsl', ['parsl']);

const standardLibrary = { durable: false, needsRedis: false, install: nothing };
const celery = { durable: true, needsRedis: true, install: celeryPackage };
const dask = { durable: false, needsRedis: false, install: daskPackage };
const parsl = { durable: false, needsRedis: false, install: parslPackage };
const python = (file: string, ...args: string[]): string[] => [PEER_PYTHON, script(file), ...args];

/** All with two worker processes; those that keep tasks in Redis use one like ours: append-only file, everysec. */
export const PEERS: readonly Peer[] = [
  {
    ...{ name: 'ProcessPoolExecutor(2)', settings: 'submit', ...standardLibrary },
    command: [PYTHON, join(PYTHON_SCRIPTS, 'executor_pool.py')],
  },
  {
    ...{ name: 'multiprocessing.Pool(2)', settings: 'map, chunksize 1', ...standardLibrary },
    command: [PYTHON, script('pool_map.py')],
  },
  {
    ...{ name: 'Celery', settings: 'as it installs; apply_async each', ...celery, inTargets: 'celery' },
    command: python('celery_peer.py', 'apply_async'),
  },
  {
    ...{ name: 'Celery, group', settings: 'as it installs; one group', ...celery, inTargets: 'celery' },
    command: python('celery_peer.py', 'group'),
  },
  {
    ...{ name: 'Celery, tuned', settings: 'pickle, prefetch 64, no gossip, mingle, heartbeat', ...celery },
    command: python('celery_peer.py', 'tuned'),
    // Root, which CI often is, may not unpickle otherwise.
    env: { CELERY_TUNED: '1', C_FORCE_ROOT: '1' },
  },
  {
    ...{ name: 'Dask, submit', settings: 'as it installs; submit each', ...dask, inTargets: 'dask' },
    command: python('dask_peer.py', 'submit'),
  },
  {
    ...{ name: 'Dask, map', settings: 'as it installs; map', ...dask, inTargets: 'dask' },
    command: python('dask_peer.py', 'map'),
  },
  {
    ...{ name: 'Dask, tuned', settings: 'separate scheduler, saturation inf, map', ...dask },
    command: python('dask_peer.py', 'tuned'),
    env: { DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION: 'inf' },
  },
  {
    ...{ name: 'Parsl HTEX', settings: 'as it installs; executor.submit', ...parsl, inTargets: 'parsl' },
    command: python('parsl_peer.py', 'submit'),
  },
  {
    ...{ name: 'Parsl HTEX, tuned', settings: 'unencrypted, prefetch 64', ...parsl },
    command: python('parsl_peer.py', 'tuned'),
  },
  {
    ...{ name: 'RQ', settings: '2 simple workers (no fork)', durable: true, needsRedis: true },
    install: () => installPython('rq', ['rq', 'redis']),
    command: python('rq_peer.py'),
  },
  {
    ...{ name: 'BullMQ', settings: 'JavaScript in its own process, addBulk of 500', durable: true, needsRedis: true },
    install: () => installNode('bullmq'),
    command: [process.execPath, join(PACKAGE_ROOT, 'bench', 'peers', 'bullmq.mjs')],
    cwd: NODE_DIRECTORY,
  },
];
