import { randomUUID } from 'node:crypto';

/** How many times a claim that stands is handed something, at most: so many nonces are to be looked for when it is lost. */
export const MOST_HAND_OVERS = 16;

/**
 * Under which a claim is given what it gets while it stands, the first time or a later one: another one each time, since a task that was given
 * back must not come again under the same fence.
 */
export const standingNonce = (nonce: string, time = 0): string => `${nonce}+${time || ''}`;

/** The way back. */
export function partsOfStanding(standing: string): { nonce: string; time: number } {
  const end = standing.indexOf('+');
  return { nonce: standing.slice(0, end), time: Number(standing.slice(end + 1)) };
}

/** 64 random bits as 16 hex digits: the first and the last 32 of a UUID, which Node keeps in stock, at a fiftieth of the cost of a draw. */
export function newNonce(): string {
  const uuid = randomUUID();
  return uuid.slice(0, 8) + uuid.slice(-8);
}
