import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import type { AuditEntry } from '../api/audit.js';

export interface AuditFile {
  write(entry: AuditEntry): void;
  /** Resolves when all is with the kernel. */
  close(): Promise<void>;
}

/** Lines are short; beyond so many bytes that the disk does not take, the oldest are given up rather than the memory. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;

export const auditPath = (dataDir: string): string => join(dataDir, 'logs', 'audit.log');

/**
 * The audit log: JSON lines at the end of a file that its owner alone can read. Written in the background; what cannot be written is
 * told to `onError` and does not keep anybody from working.
 */
export function openAuditFile(dataDir: string, onError: (error: unknown) => void, sync = false): AuditFile {
  const path = auditPath(dataDir);
  mkdirSync(join(dataDir, 'logs'), { recursive: true });
  const destination = pino.destination({ dest: path, append: true, mode: 0o600, sync, maxLength: MAX_WAITING_BYTES });
  destination.on('error', onError);
  destination.once('ready', () => {
    // Of a file that was there before.
    chmodSync(path, 0o600);
  });
  // In place of a level, which says nothing here; pino's lines begin with something.
  const options = {
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: () => ({ log: 'audit' }) },
  };
  const log = pino(options, destination);
  return {
    write: (entry) => {
      log.info(entry);
    },
    close: () =>
      new Promise((resolve) => {
        destination.once('close', resolve);
        destination.end();
      }),
  };
}
