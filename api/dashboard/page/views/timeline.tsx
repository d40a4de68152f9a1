import type { JSX } from 'preact';
import { hasEnded, type Story, type Transition } from '../answers.js';
import { duration, exactTime, plural } from '../format.js';
import { Badge } from '../parts/badge.js';
import { useNow } from '../polled.js';

/** A task that was tried very often has a long story: its latest part is drawn. */
const MAX_DRAWN = 60;
/** Ticks of the scale, both ends included. */
const TICKS = 5;
const LIVE_MS = 250;
const STANDING_MS = 3_600_000;

interface Stay {
  readonly line: Transition;
  readonly fromMs: number;
  /** Undefined for the end of the story. */
  readonly toMs: number | undefined;
}

/** The states a task has been in, one below the other, each as long as it lasted. */
export function Timeline({ task }: { task: Story }): JSX.Element {
  const isOver = hasEnded(task);
  const now = useNow(isOver ? STANDING_MS : LIVE_MS);
  const { history } = task;
  const lastMs = history.at(-1)?.at_ms ?? now;
  // The server's clock may be ahead of this one.
  const endMs = isOver ? lastMs : Math.max(now, lastMs);
  const drawn = history.slice(-MAX_DRAWN);
  const beginMs = drawn[0]?.at_ms ?? endMs;
  const spanMs = Math.max(1, endMs - beginMs);
  const stays = drawn.map((line, index): Stay => {
    const next = drawn[index + 1];
    return { line, fromMs: line.at_ms, toMs: next?.at_ms ?? (isOver ? undefined : endMs) };
  });
  const left = history.length - drawn.length;
  return (
    <section class="card" aria-labelledby="timeline-title">
      <header>
        <h2 id="timeline-title">Timeline</h2>
        <span class="muted">
          {duration(endMs - (history[0]?.at_ms ?? endMs))} {isOver ? 'from submission to end' : 'so far'}
        </span>
      </header>
      <div class="card-body">
        {left > 0 && <p class="hint">{plural(left, 'transition')} before these are not drawn.</p>}
        <div class="scale" aria-hidden="true">
          {Array.from({ length: TICKS }, (_, index) => (
            <span key={index}>{duration((spanMs * index) / (TICKS - 1))}</span>
          ))}
        </div>
        <ol class="timeline">
          {stays.map((stay) => (
            <StayRow
              key={`${stay.fromMs} ${stay.line.event} ${stay.line.detail ?? ''}`}
              stay={stay}
              beginMs={beginMs}
              spanMs={spanMs}
            />
          ))}
        </ol>
      </div>
    </section>
  );
}

function StayRow({ stay, beginMs, spanMs }: { stay: Stay; beginMs: number; spanMs: number }): JSX.Element {
  const { line, fromMs, toMs } = stay;
  const percent = (ms: number): string => `${Math.min(100, Math.max(0, (100 * ms) / spanMs))}%`;
  const isPoint = toMs === undefined;
  return (
    <li>
      <div class="stay-words">
        <Badge state={line.to} />
        <span class="stay-event">
          {line.event.replace(/^task\./, '')}
          {line.detail !== null && <span class="muted"> {line.detail}</span>}
        </span>
        <span class="stay-time muted">
          <time dateTime={line.at}>{exactTime(fromMs)}</time>
          {!isPoint && <>, for {toMs === fromMs ? 'under 1 ms' : duration(toMs - fromMs)}</>}
        </span>
      </div>
      <div class={`lane state-${line.to}`} aria-hidden="true">
        <i
          class={isPoint ? 'stay-bar point' : 'stay-bar'}
          style={{ left: percent(fromMs - beginMs), width: isPoint ? '0' : percent(toMs - fromMs) }}
        />
      </div>
    </li>
  );
}
