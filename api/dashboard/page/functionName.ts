import { useEffect, useState } from 'preact/hooks';
import type { FunctionStory } from './answers.js';
import { call } from './api.js';

/** A function keeps its name: asked for once. */
const known = new Map<string, string>();

/** What people call a function; its id's beginning until that is known, or where it is not. */
export function useFunctionName(functionId: string | undefined): string | undefined {
  const [, setKnown] = useState(0);
  useEffect(() => {
    if (functionId === undefined || known.has(functionId)) return undefined;
    const abort = new AbortController();
    call<FunctionStory>(`/functions/${functionId}`, { signal: abort.signal }).then(
      ({ name }) => {
        known.set(functionId, name);
        setKnown(known.size);
      },
      // The id is shown instead.
      () => undefined,
    );
    return () => abort.abort();
  }, [functionId]);
  return functionId === undefined ? undefined : (known.get(functionId) ?? shortId(functionId));
}

/** Enough of an id to tell it from others at a glance. */
export const shortId = (id: string): string => id.slice(0, 8);
