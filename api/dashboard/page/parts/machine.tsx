import type { JSX } from 'preact';
import type { Layout, Line, MachineDrawing, StateBox } from '../../frame.js';
import { count, short } from '../format.js';
import { NARROW, useMedia } from '../media.js';

interface MachineProps {
  readonly drawing: MachineDrawing;
  /** How many are in each state now. */
  readonly counts: Readonly<Record<string, number>>;
  /** Transitions per second, by arrow. */
  readonly flows: Readonly<Record<string, number>>;
  /** Where a state leads, if anywhere. */
  readonly linkOf?: (state: string) => string | undefined;
}

/** A state machine, drawn: how many are in each state, and along which lines they go. */
export function Machine({ drawing, counts, flows, linkOf }: MachineProps): JSX.Element {
  const narrow = useMedia(NARROW);
  const layout: Layout = narrow ? drawing.tall : drawing.wide;
  const { name } = drawing;
  return (
    <div class={`machine machine-${name}`}>
      <svg
        viewBox={`0 0 ${layout.width} ${layout.height}`}
        style={{ maxWidth: `${layout.width}px` }}
        role="group"
        aria-label={`The ${name} machine: ${layout.states.map((state) => `${state.name} ${counts[state.name] ?? 0}`).join(', ')}`}
      >
        <defs>
          {['idle', 'flowing'].map((kind) => (
            <marker
              key={kind}
              id={`${name}-${kind}`}
              class={`head ${kind}`}
              viewBox="0 0 8 8"
              refX="7"
              refY="4"
              markerWidth="8"
              markerHeight="8"
              markerUnits="userSpaceOnUse"
              orient="auto-start-reverse"
            >
              <path d="M0 0.6 7.4 4 0 7.4z" />
            </marker>
          ))}
        </defs>
        <g aria-hidden="true">
          {layout.lines.map((line) => (
            <Arrows key={`${line.from} ${line.to}`} machine={name} line={line} flows={flows} />
          ))}
          {layout.lines.map((line) => (
            <Words key={`${line.from} ${line.to}`} line={line} flows={flows} withRates={!narrow} />
          ))}
        </g>
        {layout.states.map((state) => (
          <State key={state.name} state={state} count={counts[state.name]} link={linkOf?.(state.name)} />
        ))}
      </svg>
    </div>
  );
}

function Arrows({ machine, line, flows }: { machine: string; line: Line; flows: MachineProps['flows'] }): JSX.Element {
  const flow = line.arrows.reduce((sum, { id }) => sum + (flows[id] ?? 0), 0);
  const path = smooth(line.points);
  const kind = flow > 0 ? 'flowing' : 'idle';
  // From one every two seconds to a stream, whatever the figures: a hundredfold flow is three times as fast.
  const seconds = Math.min(2.4, Math.max(0.45, 1.6 / (1 + Math.log10(1 + flow))));
  return (
    <g class={`line ${kind} state-${line.to}`} data-line={`${line.from} ${line.to}`}>
      <title>{tooltip(line, flows)}</title>
      <path class="reach" d={path} />
      <path class="track" d={path} marker-end={`url(#${machine}-${kind})`} />
      {flow > 0 && <path class="dots" d={path} style={{ animationDuration: `${seconds.toFixed(2)}s` }} />}
    </g>
  );
}

interface WordsProps {
  readonly line: Line;
  readonly flows: MachineProps['flows'];
  /** Where there is room. */
  readonly withRates: boolean;
}

function Words({ line, flows, withRates }: WordsProps): JSX.Element | null {
  const { x, y, words } = line.label;
  if (words.length === 0) return null;
  const top = y - ((words.length - 1) * 16) / 2 + 4;
  return (
    <text class="words" x={x} text-anchor="middle">
      {words.map((word, place) => {
        const flow = flowOfWord(line, word, flows);
        return (
          <tspan key={word} x={x} y={top + 16 * place} class={flow > 0 ? `flowing state-${line.to}` : ''}>
            {flow > 0 && withRates
              ? `${word} ${short(flow < 10 ? Math.round(flow * 10) / 10 : Math.round(flow))}/s`
              : word}
          </tspan>
        );
      })}
    </text>
  );
}

/** A word may stand for arrows that differ by their guard. */
function flowOfWord({ arrows }: Line, word: string, flows: MachineProps['flows']): number {
  const meant = arrows.filter(({ event }) => event.endsWith(`.${word}`));
  return meant.reduce((sum, { id }) => sum + (flows[id] ?? 0), 0);
}

interface StateProps {
  readonly state: StateBox;
  readonly count: number | undefined;
  readonly link: string | undefined;
}

function State({ state, count: number, link }: StateProps): JSX.Element {
  const { name, x, y, width, height, initial, final } = state;
  const box = (
    <g
      class={`state state-${name} ${final ? 'final' : ''} ${(number ?? 0) > 0 ? 'occupied' : ''}`}
      data-state={name}
      data-count={number ?? ''}
    >
      <title>{number === undefined ? name : `${name}: ${count(number)}`}</title>
      <rect x={x - width / 2} y={y - height / 2} width={width} height={height} rx="10" />
      {final && (
        <rect class="rim" x={x - width / 2 + 3} y={y - height / 2 + 3} width={width - 6} height={height - 6} rx="7.5" />
      )}
      {initial && <circle class="entry" cx={x - width / 2} cy={y} r="4" />}
      <text class="state-name" x={x} y={number === undefined ? y + 4 : y - 6} text-anchor="middle">
        {name}
      </text>
      {number !== undefined && (
        <text class="state-count" x={x} y={y + 14} text-anchor="middle">
          {number < 1_000_000 ? count(number) : short(number)}
        </text>
      )}
    </g>
  );
  return link === undefined ? box : <a href={link}>{box}</a>;
}

function tooltip({ from, to, arrows }: Line, flows: MachineProps['flows']): string {
  const told = arrows.map(({ id, event, guard }) => {
    const when = guard === undefined ? '' : ` [${guard}]`;
    const flow = flows[id] ?? 0;
    return `${event}${when}${flow > 0 ? `, ${short(flow)}/s` : ''}`;
  });
  return `${from} to ${to}: ${told.join('; ')}`;
}

/** A curve that begins and ends where the points do, and passes near the others. */
function smooth(points: Line['points']): string {
  const [first, ...rest] = points;
  if (!first) return '';
  const last = rest.at(-1);
  let path = `M${first.x} ${first.y}`;
  rest.slice(0, -1).forEach((point, place) => {
    const next = rest[place + 1] ?? point;
    const end = next === last ? next : { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 };
    path += `Q${point.x} ${point.y} ${end.x} ${end.y}`;
  });
  return rest.length === 1 && last ? `${path}L${last.x} ${last.y}` : path;
}
