import type { ComponentChildren, JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { messageOf } from '../api.js';

/** What came of what a button did, and whether it is under way. */
export interface Doing {
  readonly isBusy: boolean;
  readonly said: { isGood: boolean; text: ComponentChildren } | undefined;
  /** Runs it unless something runs already; what it returns is said, what it throws likewise. */
  readonly run: (step: () => Promise<ComponentChildren>) => void;
}

export function useDoing(): Doing {
  const [isBusy, setBusy] = useState(false);
  const [said, setSaid] = useState<Doing['said']>();
  const busy = useRef(false);
  const run = (step: () => Promise<ComponentChildren>): void => {
    if (busy.current) return;
    busy.current = true;
    setBusy(true);
    void step()
      .then(
        (text) => setSaid({ isGood: true, text }),
        (error: unknown) => setSaid({ isGood: false, text: messageOf(error) }),
      )
      .finally(() => {
        busy.current = false;
        setBusy(false);
      });
  };
  return { isBusy, said, run };
}

/** Where it is said; there from the beginning, so that screen readers notice when something comes. */
export function Said({ doing: { said } }: { doing: Doing }): JSX.Element {
  return (
    <div class={`said${said && !said.isGood ? ' bad' : ''}`} role="status">
      {said?.text}
    </div>
  );
}

/** A button whose press is a question first. */
export function ConfirmButton(props: {
  label: ComponentChildren;
  /** What a screen reader is told instead of the label. */
  name?: string;
  question: string;
  children: ComponentChildren;
  confirm: string;
  disabled?: boolean;
  onConfirm: () => void;
}): JSX.Element {
  const { label, name, question, children, confirm, disabled = false, onConfirm } = props;
  const dialog = useRef<HTMLDialogElement>(null);
  const close = (): void => dialog.current?.close();
  return (
    <>
      <button type="button" disabled={disabled} aria-label={name} onClick={() => dialog.current?.showModal()}>
        {label}
      </button>
      <dialog ref={dialog} aria-label={question}>
        <h2>{question}</h2>
        <p class="question-text">{children}</p>
        <div class="actions">
          <button
            type="button"
            class="primary"
            onClick={() => {
              close();
              onConfirm();
            }}
          >
            {confirm}
          </button>
          <button type="button" onClick={close}>
            Leave it
          </button>
        </div>
      </dialog>
    </>
  );
}
