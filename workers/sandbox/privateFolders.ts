/**
 * A temporary folder for each process, removed when it has ended; those of a worker that was killed by the next one.
 *
 * They lie in one folder per pool that only the pool's user can change. What is in them belongs to functions, and is removed as their
 * user, so that no link they leave leads to anything they could not have removed themselves.
 */
import { execFile } from 'node:child_process';
import { chmodSync, chownSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isTheSame, startTime } from '../processGroup.js';
import { type Identity, isRoot } from './sandboxUser.js';

const PREFIX = 'mpcsfaas-tmp-';
const NAME = /^mpcsfaas-tmp-(\d+)-(\d*)-/;
/** Folders that functions have made unreadable are made readable before. */
const REMOVE_CONTENTS = 'chmod -R u+rwX "$1" 2>/dev/null; exec find "$1" -mindepth 1 -delete 2>/dev/null';
const REMOVE_TIMEOUT_MS = 60_000;
/** What was just killed may still write. */
const TRIES = 3;
const TRY_AGAIN_MS = 100;

export class PrivateFolders {
  /** The folder that they lie in. */
  readonly base: string;
  private readonly removals = new Set<Promise<void>>();
  private made = 0;

  constructor() {
    this.base = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-${startTime(process.pid)}-`));
    // To be passed through by the owner of a folder in it, not to be listed.
    chmodSync(this.base, 0o711);
    void this.track(sweep(tmpdir()));
  }

  /** @param owner absent: this process's user */
  make(owner?: Identity): string {
    const path = join(this.base, String(++this.made));
    mkdirSync(path, { mode: 0o700 });
    if (owner) chownSync(path, owner.uid, owner.gid);
    return path;
  }

  /** Goes on in the background, until `close`. */
  remove(path: string): void {
    void this.track(removeFolder(path));
  }

  async close(): Promise<void> {
    await Promise.all(this.removals);
    await removeBase(this.base);
  }

  private track(removal: Promise<void>): Promise<void> {
    this.removals.add(removal);
    return removal.finally(() => this.removals.delete(removal));
  }
}

/** Removes what pools of processes that are gone have left, where it is this user's. */
async function sweep(directory: string): Promise<void> {
  const left = readdirSync(directory).filter((name) => {
    const [, pid, startedAt] = NAME.exec(name) ?? [];
    if (pid === undefined || isTheSame(Number(pid), startedAt ?? '')) return false;
    const status = lstatSync(join(directory, name), { throwIfNoEntry: false });
    return status?.isDirectory() === true && status.uid === process.getuid?.();
  });
  for (const name of left) await removeBase(join(directory, name));
}

async function removeBase(base: string): Promise<void> {
  for (const name of list(base)) await removeFolder(join(base, name));
  removeEmpty(base);
}

async function removeFolder(path: string): Promise<void> {
  for (let tries = 0; tries < TRIES && !removeEmpty(path); tries++) {
    await removeContents(path);
    if (removeEmpty(path)) return;
    await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN_MS));
  }
}

function removeContents(path: string): Promise<void> {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status?.isDirectory() !== true) return Promise.resolve();
  const as = isRoot() ? { uid: status.uid, gid: status.gid } : {};
  return new Promise((resolve) => {
    const command = ['-c', REMOVE_CONTENTS, 'sh', path];
    execFile('/bin/sh', command, { ...as, cwd: '/', timeout: REMOVE_TIMEOUT_MS }, () => {
      resolve();
    });
  });
}

/** Most are empty. */
function removeEmpty(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT';
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
