import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, Row } from './fault.js';
import { finish, judge, skippedRow } from './row.js';
import { Scene } from './scene.js';
import { PATIENCE_MS } from './settings.js';

/** Tasks that have completed before the fault comes: the platform is warm and at work. */
const COMPLETED_BEFORE = 30;
/** How long the load goes on after the fault. */
const AFTERWARDS_MS = 1_000;

/** Puts a platform under load, does to it what the fault is, waits for all that was accepted, and judges. */
export async function runFault(fault: Fault): Promise<Row> {
  const why = fault.unavailable?.();
  if (why !== undefined) return skippedRow(fault.name, why);
  let scene: Scene;
  try {
    scene = await Scene.open(fault.platform ?? {}, fault.taskScale);
  } catch (error) {
    return failedRow(fault, error); // The other faults are tried all the same.
  }
  let row: Row;
  try {
    row = await underLoad(fault, scene);
  } catch (error) {
    row = failedRow(fault, error);
  } finally {
    await fault.cleanUp?.(scene);
  }
  return finish(row, (await scene.close()).length);
}

function failedRow(fault: Fault, error: unknown): Row {
  const violations = [error instanceof Error ? (error.stack ?? error.message) : String(error)];
  return { ...skippedRow(fault.name, ''), violations };
}

async function underLoad(fault: Fault, scene: Scene): Promise<Row> {
  for (const worker of scene.platform.workers) scene.runtimes(worker);
  await fault.prepare?.(scene);
  if (fault.ownLoad !== true) {
    scene.load.start();
    await scene.moreCompleted(COMPLETED_BEFORE);
  }
  await fault.inject(scene);
  const healedAtMs = Date.now();
  if (fault.ownLoad !== true) await sleep(AFTERWARDS_MS);
  await scene.load.pause();
  await scene.load.ended(PATIENCE_MS);
  const row = await judge(fault, scene, healedAtMs);
  row.violations.push(...((await fault.verify?.(scene, row)) ?? []));
  return row;
}
