import { createHash } from 'node:crypto'
import type { ElkExtendedEdge, ElkNode } from 'elkjs'
import { elkLayout } from './elk.ts'
import { MARGIN, backwardsIn, elkGraphOf, statesOf, textOf, textsOf } from './elkGraph.ts'
import type { Arrow, Graph, GraphState } from './graph.ts'
import type { Block } from './text.ts'

/*
 * Where everything in a chart lies, in pixels from its upper left corner, found by ELK's layered algorithm. The same
 * graph always lies the same way, and is laid out once per process: machines do not change while they run.
 */

export interface Layout {
  readonly width: number
  readonly height: number
  /** Outer states before those inside them. */
  readonly states: readonly PlacedState[]
  readonly arrows: readonly PlacedArrow[]
}

export interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export interface PlacedState extends Box {
  readonly state: GraphState
  readonly rows: Block
}

export interface Point {
  readonly x: number
  readonly y: number
}

export interface PlacedArrow {
  readonly arrow: Arrow
  readonly points: readonly Point[]
  readonly label: (Box & { readonly block: Block }) | null
}

// By what is in the graph; as many as there are machines.
const laidOut = new Map<string, Promise<Layout>>()

export function layoutOf(graph: Graph): Promise<Layout> {
  const key = createHash('sha256').update(JSON.stringify(graph)).digest('hex')
  const known = laidOut.get(key)
  if (known) return known
  const layout = place(graph).catch((error: unknown) => {
    laidOut.delete(key)
    throw error
  })
  laidOut.set(key, layout)
  return layout
}

async function place(graph: Graph): Promise<Layout> {
  const texts = textsOf(graph)
  const isBackwards = backwardsIn(graph)
  const placed = await elkLayout(elkGraphOf(graph, texts, isBackwards))
  const boxes = new Map([...nodesOf(placed)].map(node => [node.id, node]))
  const edges = new Map((placed.edges ?? []).map(edge => [edge.id, edge]))
  const frame = boxOf(boxes.get(graph.root.id))
  return {
    width: frame.x + frame.width + MARGIN,
    height: frame.y + frame.height + MARGIN,
    states: [...statesOf(graph.root)].map(state => {
      return { state, rows: textOf(texts, state.id), ...boxOf(boxes.get(state.id)) }
    }),
    arrows: graph.arrows.map(arrow =>
      placedArrow(arrow, isBackwards(arrow), edges.get(arrow.id), textOf(texts, arrow.id)),
    ),
  }
}

function* nodesOf(node: ElkNode): Generator<ElkNode> {
  yield node
  for (const child of node.children ?? []) yield* nodesOf(child)
}

function placedArrow(arrow: Arrow, backwards: boolean, edge: ElkExtendedEdge | undefined, block: Block): PlacedArrow {
  const section = edge?.sections?.[0]
  const label = edge?.labels?.[0]
  const points = section ? [section.startPoint, ...(section.bendPoints ?? []), section.endPoint].map(rounded) : []
  return {
    arrow,
    points: straightened(backwards ? points.toReversed() : points),
    label: label ? { ...boxOf(label), block } : null,
  }
}

// Smaller than the distance between two lines, so that none is moved onto its neighbour.
const JOG_MAX = 10

/**
 * Without the little steps aside that ELK makes: where a line goes straight down, it may as well do so a little further
 * along.
 */
function straightened(points: readonly Point[]): readonly Point[] {
  const at = points.findIndex((one, index) => {
    const [before, two, next] = [points[index - 1], points[index + 1], points[index + 2]]
    if (!before || !two || !next) return false
    return before.x === one.x && one.y === two.y && two.x === next.x && Math.abs(two.x - one.x) <= JOG_MAX
  })
  const [before, two] = [points[at - 1], points[at + 1]]
  if (!before || !two) return points
  return straightened([...points.slice(0, at - 1), { x: two.x, y: before.y }, ...points.slice(at + 2)])
}

function boxOf(shape: Partial<Box> | undefined): Box {
  const { x = 0, y = 0, width = 0, height = 0 } = shape ?? {}
  return { ...rounded({ x, y }), width: round(width), height: round(height) }
}

function rounded({ x, y }: Point): Point {
  return { x: round(x), y: round(y) }
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
