import type { ComponentChildren, JSX } from 'preact';

interface TileProps {
  readonly label: string;
  readonly value: string;
  /** Behind the value, smaller. */
  readonly unit?: string;
  /** Between 0 and 1: shown as a bar. */
  readonly share?: number | undefined;
  readonly children?: ComponentChildren;
}

/** One figure that matters, and what explains it. */
export function Tile({ label, value, unit, share, children }: TileProps): JSX.Element {
  return (
    <div class="card tile">
      <dt>{label}</dt>
      <dd>
        <span class="tile-value">
          {value}
          {unit !== undefined && <small> {unit}</small>}
        </span>
        {share !== undefined && (
          <span class="bar" aria-hidden="true">
            <span style={{ width: `${Math.round(Math.min(1, share) * 100)}%` }} />
          </span>
        )}
        <span class="tile-note">{children}</span>
      </dd>
    </div>
  );
}
