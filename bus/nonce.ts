import { randomUUID } from 'node:crypto';

/** Under which a claim is given what it gets while it stands: a task that was given back must not come again under the same fence. */
export const standingNonce = (nonce: string): string => `${nonce}+`;

/** 64 random bits as 16 hex digits: the first and the last 32 of a UUID, which Node keeps in stock, at a fiftieth of the cost of a draw. */
export function newNonce(): string {
  const uuid = randomUUID();
  return uuid.slice(0, 8) + uuid.slice(-8);
}
