import type { ComponentChildren, JSX } from 'preact';
import { messageOf } from '../api.js';

/** That something went wrong, what to do about it, and a way to try again. */
export function ErrorNote({ error, again }: { error: unknown; again?: () => void }): JSX.Element {
  return (
    <div class="note error" role="alert">
      <p>{messageOf(error)}</p>
      {again && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** In the place of a list that has nothing. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  );
}
