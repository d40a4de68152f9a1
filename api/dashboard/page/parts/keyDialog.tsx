import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { giveKey, useKeyState } from '../apiKey.js';

/** Asks for an API key when the server wants one. */
export function KeyDialog(): JSX.Element {
  const { asked } = useKeyState();
  const [key, setKey] = useState('');
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (asked === undefined) dialog.current?.close();
    else if (dialog.current?.open === false) dialog.current.showModal();
  }, [asked]);
  const submit = (event: Event): void => {
    event.preventDefault();
    if (key.trim() === '') return;
    giveKey(key.trim());
    setKey('');
  };
  return (
    <dialog ref={dialog} aria-labelledby="key-title">
      <form onSubmit={submit}>
        <h2 id="key-title">An API key, please</h2>
        <p>{asked}</p>
        <label>
          API key
          <input
            type="password"
            autocomplete="off"
            spellcheck={false}
            value={key}
            onInput={(event) => setKey(event.currentTarget.value)}
          />
        </label>
        <p class="hint">
          It stays in this browser until you say “Forget key”. It needs the scopes “read” and “operate”.
        </p>
        <div class="actions">
          <button type="submit" class="primary">
            Use this key
          </button>
        </div>
      </form>
    </dialog>
  );
}
