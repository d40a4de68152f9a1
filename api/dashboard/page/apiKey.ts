import { useEffect, useState } from 'preact/hooks';

const STORED_AS = 'mpcsfaas.apiKey';

/** The page has a key when its user gave one; it is asked for when the server says that it needs one. */
interface KeyState {
  readonly key: string | undefined;
  /** Why a key is asked for now. */
  readonly asked: string | undefined;
}

let state: KeyState = { key: localStorage.getItem(STORED_AS) ?? undefined, asked: undefined };
const listeners = new Set<(state: KeyState) => void>();
let answered: (() => void)[] = [];

export function useKeyState(): KeyState {
  const [seen, setSeen] = useState(state);
  useEffect(() => {
    listeners.add(setSeen);
    setSeen(state);
    return () => void listeners.delete(setSeen);
  }, []);
  return seen;
}

export function keyHeaders(): Record<string, string> {
  return state.key === undefined ? {} : { authorization: `Bearer ${state.key}` };
}

/** Resolves when the user has given another key than the one that was refused. */
export async function askForKey(refused: string | undefined, why: string): Promise<void> {
  if (state.key !== refused) return;
  change({ key: state.key, asked: why });
  await new Promise<void>((resolve) => answered.push(resolve));
}

export const currentKey = (): string | undefined => state.key;

export function giveKey(key: string): void {
  localStorage.setItem(STORED_AS, key);
  change({ key, asked: undefined });
  for (const resolve of answered.splice(0)) resolve();
}

/** The next call is made without one. */
export function forgetKey(): void {
  localStorage.removeItem(STORED_AS);
  answered = [];
  location.reload();
}

function change(next: KeyState): void {
  state = next;
  for (const listener of listeners) listener(next);
}
