import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { callForResponse } from '../api.js';
import { plural } from '../format.js';
import { Said, useDoing } from '../parts/action.js';
import { ErrorNote } from '../parts/notes.js';
import { useTaskLog } from './logStream.js';

/** Who scrolls up wants to read; who is within so many pixels of the end wants to follow. */
const NEAR_PX = 24;

/** What the task printed, and prints. */
export function TaskLog({ taskId, hasEnded }: { taskId: string; hasEnded: boolean }): JSX.Element {
  const [asked, setAsked] = useState(0);
  const { pieces, left, attempt, end, error } = useTaskLog(taskId, asked);
  const [follows, setFollows] = useState(!hasEnded);
  const box = useRef<HTMLPreElement>(null);
  const doing = useDoing();
  const isLive = end === undefined && error === undefined;
  useEffect(() => {
    if (follows && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [pieces, follows]);
  const onScroll = (): void => {
    if (!box.current || !isLive) return;
    const { scrollHeight, scrollTop, clientHeight } = box.current;
    setFollows(scrollHeight - scrollTop - clientHeight < NEAR_PX);
  };
  const isEmpty = pieces.length === 0;
  return (
    <section class="card" aria-labelledby="log-title">
      <header>
        <h2 id="log-title">Output</h2>
        <span class="muted">
          {isLive
            ? hasEnded
              ? ''
              : 'live'
            : plural(
                pieces.reduce((sum, { text }) => sum + linesIn(text), left),
                'line',
              )}
          {attempt !== undefined && attempt > 1 && ` of attempt ${attempt}`}
        </span>
        <span class="actions end">
          {isLive && !hasEnded && (
            <label class="switch">
              <input type="checkbox" checked={follows} onChange={(event) => setFollows(event.currentTarget.checked)} />
              Follow
            </label>
          )}
          {!isEmpty && (
            <button type="button" class="quiet" aria-busy={doing.isBusy} onClick={() => doing.run(() => save(taskId))}>
              Save as file
            </button>
          )}
        </span>
      </header>
      <div class="card-body">
        <Said doing={doing} />
        {error !== undefined && <ErrorNote error={error} again={() => setAsked(asked + 1)} />}
        {left > 0 && <p class="hint">{plural(left, 'line')} before these are not shown; the file has them.</p>}
        {isEmpty && error === undefined && (
          <p class="muted">{isLive ? (hasEnded ? 'Loading…' : 'Nothing printed yet.') : 'It printed nothing.'}</p>
        )}
        {!isEmpty && (
          <pre ref={box} class="log" role="log" aria-live="off" aria-label="Output" tabIndex={0} onScroll={onScroll}>
            {pieces.map(({ key, stream, text }) => (
              <span key={key} class={stream}>
                {text}
              </span>
            ))}
          </pre>
        )}
        {end?.truncated === true && <p class="hint">It printed more than the server keeps.</p>}
      </div>
    </section>
  );
}

const linesIn = (text: string): number => text.split('\n').length - (text.endsWith('\n') ? 1 : 0);

/** By the page and not by a link: a link has no API key. */
async function save(taskId: string): Promise<string> {
  const response = await callForResponse(`/tasks/${encodeURIComponent(taskId)}/logs?format=text`);
  const link = document.createElement('a');
  link.href = URL.createObjectURL(await response.blob());
  link.download = `${taskId}.log`;
  link.click();
  URL.revokeObjectURL(link.href);
  return '';
}
