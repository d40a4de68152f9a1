/** Small line plots as SVG: one title, two axes with names and units, a legend, nothing that needs a library. */

export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Panel {
  readonly title: string;
  readonly lines: readonly Line[];
}

export interface Plot {
  readonly title: string;
  /** What a reader shall see in it, in a sentence. */
  readonly subtitle: string;
  readonly xTitle: string;
  readonly yTitle: string;
  /** Panels side by side, with the same axes. */
  readonly panels: readonly Panel[];
  readonly xTicks: readonly number[];
  readonly yScale: 'linear' | 'log';
  /** Where perfect would be. */
  readonly reference?: { readonly y: number; readonly name: string };
}

const PANEL = { width: 270, height: 210, gap: 34 };
const MARGIN = { left: 74, right: 20, top: 92, bottom: 86 };
/** Told apart by those who do not see colours as well: Okabe and Ito's, and by the shape of their markers. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7'];
const TEXT = '#222';
const GRID = '#ddd';

interface Scale {
  readonly ticks: readonly number[];
  at(value: number): number;
}

export function plotSvg(plot: Plot): string {
  const width = MARGIN.left + MARGIN.right + plot.panels.length * (PANEL.width + PANEL.gap) - PANEL.gap;
  const height = MARGIN.top + PANEL.height + MARGIN.bottom;
  const y = yScale(plot);
  const parts = [
    text(MARGIN.left, 26, plot.title, { size: 17, weight: 'bold' }),
    text(MARGIN.left, 46, plot.subtitle, { size: 12 }),
    ...plot.panels.map((panel, index) =>
      panelSvg(plot, panel, y, MARGIN.left + index * (PANEL.width + PANEL.gap), index === 0),
    ),
    text(MARGIN.left + (width - MARGIN.left - MARGIN.right) / 2, MARGIN.top + PANEL.height + 40, plot.xTitle, {
      anchor: 'middle',
    }),
    `<g transform="translate(18 ${MARGIN.top + PANEL.height / 2}) rotate(-90)">${text(0, 0, plot.yTitle, { anchor: 'middle' })}</g>`,
    legend(plot, height - 18),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="Helvetica, Arial, sans-serif" role="img">`,
    `<title>${escape(plot.title)}</title>`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

function panelSvg(plot: Plot, panel: Panel, y: Scale, left: number, isFirst: boolean): string {
  const bottom = MARGIN.top + PANEL.height;
  const x = (value: number): number => {
    const position = plot.xTicks.indexOf(value);
    return left + 18 + (position * (PANEL.width - 36)) / Math.max(1, plot.xTicks.length - 1);
  };
  const grid = y.ticks.flatMap((tick) => [
    `<line x1="${left}" x2="${left + PANEL.width}" y1="${fixed(y.at(tick))}" y2="${fixed(y.at(tick))}" stroke="${GRID}"/>`,
    ...(isFirst ? [text(left - 8, y.at(tick) + 4, tickText(tick), { anchor: 'end', size: 11 })] : []),
  ]);
  const ticks = plot.xTicks.map((tick) => text(x(tick), bottom + 18, String(tick), { anchor: 'middle', size: 11 }));
  const reference =
    plot.reference === undefined
      ? []
      : [
          `<line x1="${left}" x2="${left + PANEL.width}" y1="${fixed(y.at(plot.reference.y))}" y2="${fixed(y.at(plot.reference.y))}" stroke="#666" stroke-dasharray="5 4"/>`,
        ];
  const lines = panel.lines.map(({ points }, index) => {
    const colour = COLOURS[index % COLOURS.length] ?? TEXT;
    const path = points.map(([px, py]) => `${fixed(x(px))},${fixed(y.at(py))}`).join(' ');
    const markers = points.map(([px, py]) => marker(index, x(px), y.at(py), colour)).join('');
    return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>${markers}`;
  });
  const frame = `<rect x="${left}" y="${MARGIN.top}" width="${PANEL.width}" height="${PANEL.height}" fill="none" stroke="#888"/>`;
  const title = text(left + PANEL.width / 2, MARGIN.top - 12, panel.title, {
    anchor: 'middle',
    size: 13,
    weight: 'bold',
  });
  return [title, ...grid, ...reference, frame, ...lines, ...ticks].join('\n');
}

function legend({ panels, reference }: Plot, y: number): string {
  const names = panels[0]?.lines.map(({ name }) => name) ?? [];
  let x = MARGIN.left;
  const entries: string[] = [];
  for (const [index, name] of names.entries()) {
    const colour = COLOURS[index % COLOURS.length] ?? TEXT;
    entries.push(`<line x1="${x}" x2="${x + 26}" y1="${y - 4}" y2="${y - 4}" stroke="${colour}" stroke-width="2"/>`);
    entries.push(marker(index, x + 13, y - 4, colour), text(x + 32, y, name, { size: 12 }));
    x += 50 + name.length * 7;
  }
  if (reference) {
    entries.push(`<line x1="${x}" x2="${x + 26}" y1="${y - 4}" y2="${y - 4}" stroke="#666" stroke-dasharray="5 4"/>`);
    entries.push(text(x + 32, y, reference.name, { size: 12 }));
  }
  return entries.join('\n');
}

function marker(index: number, x: number, y: number, colour: string): string {
  const at = `fill="${colour}" stroke="white"`;
  switch (index % 3) {
    case 0:
      return `<circle cx="${fixed(x)}" cy="${fixed(y)}" r="4.5" ${at}/>`;
    case 1:
      return `<rect x="${fixed(x - 4)}" y="${fixed(y - 4)}" width="8" height="8" ${at}/>`;
    default:
      return `<path d="M${fixed(x)} ${fixed(y - 5.5)} l5 9 h-10 z" ${at}/>`;
  }
}

function yScale({ panels, reference, yScale: kind }: Plot): Scale {
  const values = panels.flatMap(({ lines }) => lines.flatMap(({ points }) => points.map(([, y]) => y)));
  if (reference) values.push(reference.y);
  const ticks = kind === 'log' ? logTicks(values) : linearTicks(Math.max(...values));
  const project = kind === 'log' ? Math.log10 : (value: number) => value;
  const low = project(ticks[0] ?? 0);
  const high = project(ticks.at(-1) ?? 1);
  return { ticks, at: (value) => MARGIN.top + PANEL.height * (1 - (project(value) - low) / (high - low)) };
}

/** From zero to beyond the largest value, four to eight steps of 1, 2 or 5 times a power of ten. */
export function linearTicks(largest: number): number[] {
  const rough = largest / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const count = Math.ceil(largest / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

/** Powers of ten around the values. */
export function logTicks(values: readonly number[]): number[] {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...positive)) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive)) - 1e-9));
  return Array.from({ length: high - low + 1 }, (_, index) => Number((10 ** (low + index)).toPrecision(12)));
}

const tickText = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 4 });
const fixed = (value: number): string => value.toFixed(1);
const escape = (value: string): string =>
  value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

function text(
  x: number,
  y: number,
  content: string,
  { anchor = 'start', size = 13, weight = 'normal' }: { anchor?: string; size?: number; weight?: string } = {},
): string {
  return `<text x="${fixed(x)}" y="${fixed(y)}" text-anchor="${anchor}" font-size="${size}" font-weight="${weight}" fill="${TEXT}">${escape(content)}</text>`;
}
