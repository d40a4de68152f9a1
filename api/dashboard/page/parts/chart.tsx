import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { DARK, useMedia } from '../media.js';

export interface Series {
  readonly label: string;
  /** Name of a colour of the style sheet, such as `--good`. */
  readonly colour: string;
  /** Fills the ground below the line. */
  readonly filled?: boolean;
  readonly dashed?: boolean;
}

export interface ChartProps {
  readonly title: string;
  readonly series: readonly Series[];
  /** Seconds since 1970, ascending. */
  readonly times: readonly number[];
  /** Of each series, one for each time. */
  readonly values: readonly (readonly (number | null)[])[];
  /** A value in words, for the axis and the legend. */
  readonly format: (value: number) => string;
}

const PADDING_RIGHT = 12;
/** Of `12:30:00` on an axis, pixels. */
const HALF_A_TIME = 28;
const HEIGHT = 150;
/** The time axis shows no less, so that the first points are not drawn over the whole width. */
const SHORTEST_SPAN_S = 120;

/** Lines over time. The legend tells the latest values, or those under the pointer. */
export function Chart({ title, series, times, values, format }: ChartProps): JSX.Element {
  const ground = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [pointed, setPointed] = useState<number | null>(null);
  const dark = useMedia(DARK);

  useEffect(() => {
    const element = ground.current;
    if (!element) return undefined;
    const made = new uPlot(options(element, series, format, setPointed), dataOf(times, values), element);
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = undefined;
    };
    // Colours are those of the scheme.
  }, [dark]);

  useEffect(() => {
    plot.current?.setData(dataOf(times, values));
  }, [times, values]);

  const shown = pointed ?? times.length - 1;
  const told = series.map(({ label }, place) => {
    const value = values[place]?.[shown] ?? null;
    return { label, text: value === null ? '–' : format(value) };
  });
  return (
    <section class="card chart">
      <header>
        <h2>{title}</h2>
        <ul class="legend">
          {told.map(({ label, text }, place) => (
            <li key={label}>
              <span
                class={`key ${series[place]?.dashed ? 'dashed' : ''}`}
                style={{ color: `var(${series[place]?.colour})` }}
              />
              {label} <b>{text}</b>
            </li>
          ))}
        </ul>
      </header>
      <div
        ref={ground}
        class="chart-ground"
        role="img"
        aria-label={`${title} over the last minutes; now ${told.map(({ label, text }) => `${label} ${text}`).join(', ')}`}
      />
    </section>
  );
}

function dataOf(times: ChartProps['times'], values: ChartProps['values']): uPlot.AlignedData {
  return [[...times], ...values.map((one) => [...one])] as uPlot.AlignedData;
}

function options(
  element: HTMLElement,
  series: readonly Series[],
  format: ChartProps['format'],
  onPointed: (index: number | null) => void,
): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const axis: uPlot.Axis = {
    stroke: colour('--muted'),
    font: `11px ${colour('--font')}`,
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
  };
  return {
    ...{ width: element.clientWidth, height: HEIGHT, legend: { show: false }, padding: [10, PADDING_RIGHT, 0, 0] },
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    hooks: { setCursor: [({ cursor }) => onPointed(cursor.idx ?? null)] },
    scales: {
      x: { range: (_plot, from, to) => [Math.min(from, to - SHORTEST_SPAN_S), to] },
      y: { range: (_plot, _from, to) => [0, Math.max(1, (to || 0) * 1.1)] },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 28, space: 70, values: timesWithin },
      { ...axis, size: 58, space: 34, values: (_plot, splits) => splits.map(format) },
    ],
    series: [
      {},
      ...series.map(({ label, colour: name, filled, dashed }): uPlot.Series => ({
        label,
        stroke: colour(name),
        width: 1.75,
        points: { show: false },
        ...(filled && { fill: `color-mix(in srgb, ${colour(name)} 14%, transparent)` }),
        ...(dashed && { dash: [4, 4] }),
      })),
    ],
  };
}

/** A time at the very end would be cut off by the edge of the chart. */
function timesWithin(plot: uPlot, splits: number[]): string[] {
  const edge = plot.valToPos(plot.scales['x']?.max ?? 0, 'x') + PADDING_RIGHT;
  return splits.map((seconds) => (plot.valToPos(seconds, 'x') + HALF_A_TIME > edge ? '' : timeText(seconds)));
}

function timeText(seconds: number): string {
  return new Date(seconds * 1_000).toLocaleTimeString('en-GB');
}
