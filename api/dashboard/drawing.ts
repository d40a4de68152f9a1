import * as dagre from '@dagrejs/dagre';
import { setImmediate as immediate } from 'node:timers/promises';
import type { AnyStateMachine, EventObject, TransitionDefinition } from 'xstate';
import { componentMachine } from '../../actors/lifecycles/componentMachine.js';
import { taskMachine } from '../../actors/lifecycles/taskMachine.js';
import { workerMachine } from '../../actors/lifecycles/workerMachine.js';
import type { MachineName } from '../../bus/transitionLog.js';
import type { Arrow, Layout, Line, MachineDrawing, StateBox } from './frame.js';

/** What is used of the library: its own types cannot be resolved by Node's rules. */
interface LayoutGraph {
  setGraph(options: object): void;
  setNode(name: string, size: { width: number; height: number }): void;
  setEdge(from: string, to: string, label: { width: number; height: number; labelpos: 'c' }): void;
  graph(): { width?: number; height?: number };
  node(name: string): { x: number; y: number };
  edge(from: string, to: string): Omit<Line['label'], 'words'> & { points: Line['points'] };
}
const { Graph, layout } = dagre as unknown as {
  Graph: new () => LayoutGraph;
  layout: (graph: LayoutGraph) => void;
};

type Transition = TransitionDefinition<never, EventObject>;
type Direction = 'wide' | 'tall';
type Point = Line['points'][number];

/** Of the text of labels: 12 px, in system fonts. */
const CHARACTER_WIDTH = 6.3;
const LINE_HEIGHT = 16;
const STATE_SIZE: Record<Direction, { width: number; height: number }> = {
  wide: { width: 96, height: 50 },
  tall: { width: 84, height: 46 },
};
const GAPS: Record<Direction, { rankdir: string; nodesep: number; edgesep: number; ranksep: number }> = {
  wide: { rankdir: 'LR', nodesep: 34, edgesep: 16, ranksep: 16 },
  tall: { rankdir: 'TB', nodesep: 12, edgesep: 10, ranksep: 22 },
};

const MACHINES = { task: taskMachine, worker: workerMachine, component: componentMachine } as const;

/** The machines of the platform, laid out from their definitions: some 100 ms of work, in parts, so that requests come between. */
export async function drawMachines(): Promise<MachineDrawing[]> {
  const drawings: MachineDrawing[] = [];
  for (const [name, machine] of Object.entries(MACHINES) as [MachineName, AnyStateMachine][]) {
    const lines = linesOf(name, machine);
    await immediate();
    const wide = laidOut(machine, lines, 'wide');
    await immediate();
    drawings.push({ name, wide, tall: laidOut(machine, lines, 'tall') });
  }
  return drawings;
}

type LooseLine = Omit<Line, 'points' | 'label'>;

/** What leaves a state and comes back to it changes no count, and is left out. */
function linesOf(name: MachineName, machine: AnyStateMachine): LooseLine[] {
  const lines = new Map<string, LooseLine>();
  for (const { key: from, transitions } of Object.values(machine.states)) {
    for (const transition of [...transitions.values()].flat() as unknown as Transition[]) {
      for (const { key: to } of transition.target ?? []) {
        if (to === from) continue;
        const place = `${from} ${to}`;
        const line = lines.get(place) ?? { from, to, arrows: [] };
        lines.set(place, line);
        const arrow = arrowOf(name, from, to, transition);
        if (!line.arrows.some(({ id }) => id === arrow.id)) line.arrows.push(arrow);
      }
    }
  }
  return [...lines.values()];
}

function arrowOf(name: MachineName, from: string, to: string, { eventType, guard }: Transition): Arrow {
  // The log of transitions says it so.
  const event = eventType.startsWith('xstate.after.') ? 'heartbeat.missed' : eventType;
  const arrow = { id: `${name} ${from} ${event} ${to}`, event };
  if (guard === undefined) return arrow;
  const guardName: unknown = typeof guard === 'object' && 'type' in guard ? guard.type : guard;
  return { ...arrow, guard: String(guardName) };
}

function laidOut(machine: AnyStateMachine, lines: readonly LooseLine[], direction: Direction): Layout {
  const graph = new Graph();
  graph.setGraph({ ...GAPS[direction], marginx: 10, marginy: 10 });
  for (const state of Object.keys(machine.states)) graph.setNode(state, { ...STATE_SIZE[direction] });
  for (const { from, to, arrows } of lines) {
    graph.setEdge(from, to, { ...labelSize(wordsOf(arrows, to, direction), direction), labelpos: 'c' });
  }
  layout(graph);
  const initial = machine.root.initial.target[0]?.key;
  const { width = 0, height = 0 } = graph.graph();
  return {
    ...{ width: Math.ceil(width), height: Math.ceil(height) },
    states: Object.values(machine.states).map(({ key, type }): StateBox => {
      const { x, y } = graph.node(key);
      return {
        name: key,
        x: rounded(x),
        y: rounded(y),
        ...STATE_SIZE[direction],
        initial: key === initial,
        final: type === 'final',
      };
    }),
    lines: lines.map((line): Line => {
      const edge = graph.edge(line.from, line.to);
      const points = edge.points.map(({ x, y }) => ({ x: rounded(x), y: rounded(y) }));
      const { x, y } = onCurve(edge, edge.points);
      const label = { x: rounded(x), y: rounded(y), width: rounded(edge.width), height: edge.height };
      return { ...line, points, label: { ...label, words: wordsOf(line.arrows, line.to, direction) } };
    }),
  };
}

/** Lines are drawn as curves, which do not reach the one point between two ends. */
function onCurve(label: Point, points: readonly Point[]): Point {
  const [from, between, to] = points;
  if (points.length !== 3 || !from || !between || !to) return label;
  return { x: from.x / 4 + between.x / 2 + to.x / 4, y: from.y / 4 + between.y / 2 + to.y / 4 };
}

/** What stands at a line. Where there is little room, not what the state at its end says already. */
function wordsOf(arrows: readonly Arrow[], to: string, direction: Direction): string[] {
  const words = arrows.map(({ event }) => shortName(event));
  return direction === 'wide' ? words : words.filter((word) => word !== to);
}

/** With room for the flow behind the longest word, where there is room at all. */
function labelSize(words: readonly string[], direction: Direction): { width: number; height: number } {
  if (words.length === 0) return { width: 0, height: 0 };
  const longest = Math.max(...words.map((word) => word.length));
  return {
    width: longest * CHARACTER_WIDTH + (direction === 'wide' ? 52 : 10),
    height: words.length * LINE_HEIGHT + 4,
  };
}

/** `task.claimed` is `claimed`, in the drawing of tasks. */
const shortName = (event: string): string => event.slice(event.indexOf('.') + 1);
const rounded = (value: number): number => Math.round(value * 10) / 10;
