import { createHash } from 'node:crypto'
import type { ElkExtendedEdge, ElkNode, LayoutOptions } from 'elkjs'
import { elkLayout } from './elk.ts'
import type { Arrow, Graph, GraphState } from './graph.ts'
import { TITLE_SIZE, blockOf, textWidth, type Block } from './text.ts'

/*
 * Where everything in a chart lies, in pixels from its upper left corner, found by ELK's layered algorithm. The same graph always lies the
 * same way, and is laid out once per process: machines do not change while they run.
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

export const TITLE_HEIGHT = 28
export const ROW_PADDING = 10
export const PILL_PADDING = { x: 8, y: 3 }

// What is wider makes a chart that nobody can read beside a table; what is narrower breaks every label.
const ROW_WIDTH_MAX = 300
const FRAME_ROW_WIDTH_MAX = 620
const PILL_WIDTH_MAX = 250
const MARGIN = 2

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
  const rows = new Map([...statesOf(graph.root)].map(state => [state.id, rowsOf(state, graph)]))
  const labels = new Map(graph.arrows.map(({ id, labels: all }) => [id, blockOf(all, PILL_WIDTH_MAX)]))
  const order = new Map([...statesOf(graph.root)].map(({ id }, index) => [id, index]))
  // Cycles are broken here, by the order in which the states are written, which is the one their author thinks in.
  const isBackwards = ({ source, target }: Arrow) => (order.get(source) ?? 0) > (order.get(target) ?? 0)
  const placed = await elkLayout({
    id: 'chart',
    layoutOptions: OPTIONS,
    children: [nodeOf(graph.root, rows)],
    edges: [
      ...graph.arrows.map(arrow => edgeOf(arrow, isBackwards(arrow), labels.get(arrow.id) ?? EMPTY)),
      ...spacersOf(graph),
    ],
  })
  const boxes = new Map([...nodesOf(placed)].map(node => [node.id, node]))
  const states = [...statesOf(graph.root)].map(state => ({
    state,
    rows: rows.get(state.id) ?? EMPTY,
    ...boxOf(boxes.get(state.id)),
  }))
  const edges = new Map((placed.edges ?? []).map(edge => [edge.id, edge]))
  const arrows = graph.arrows.map(arrow =>
    placedArrow(arrow, isBackwards(arrow), edges.get(arrow.id), labels.get(arrow.id) ?? EMPTY),
  )
  const frame = boxOf(boxes.get(graph.root.id))
  return { width: frame.x + frame.width + MARGIN, height: frame.y + frame.height + MARGIN, states, arrows }
}

function* statesOf(state: GraphState): Generator<GraphState> {
  yield state
  for (const child of state.states) yield* statesOf(child)
}

function* nodesOf(node: ElkNode): Generator<ElkNode> {
  yield node
  for (const child of node.children ?? []) yield* nodesOf(child)
}

const EMPTY: Block = { lines: [], width: 0, height: 0 }

function rowsOf(state: GraphState, { root }: Graph): Block {
  return blockOf(state.rows, state === root ? FRAME_ROW_WIDTH_MAX : ROW_WIDTH_MAX)
}

function nodeOf(state: GraphState, rows: ReadonlyMap<string, Block>): ElkNode {
  const { id, states } = state
  const { width, height } = sizeOf(state, rows.get(id) ?? EMPTY)
  if (states.length === 0) return { id, width, height }
  return {
    id,
    layoutOptions: {
      ...OPTIONS,
      'elk.padding': `[top=${height + 14},left=20,bottom=20,right=20]`,
      'elk.nodeSize.constraints': 'MINIMUM_SIZE',
      'elk.nodeSize.minimum': `(${width}, ${height})`,
    },
    children: states.map(child => nodeOf(child, rows)),
  }
}

function sizeOf({ kind, name }: GraphState, rows: Block): { width: number; height: number } {
  if (kind === 'initial') return { width: 10, height: 10 }
  if (kind === 'history') return { width: 26, height: 26 }
  const title = Math.ceil(textWidth(name, TITLE_SIZE, true))
  if (kind === 'anywhere') return { width: title + 16, height: 24 }
  return {
    width: Math.max(title, rows.width) + 2 * ROW_PADDING + 2,
    height: TITLE_HEIGHT + (rows.height === 0 ? 4 : rows.height + 12),
  }
}

function edgeOf({ id, source, target }: Arrow, backwards: boolean, { width, height }: Block): ElkExtendedEdge {
  const labels =
    height === 0
      ? []
      : [
          {
            id: `${id}#label`,
            text: id,
            width: width + 2 * PILL_PADDING.x,
            height: height + 2 * PILL_PADDING.y,
            layoutOptions: {
              'elk.edgeLabels.inline': 'true',
              'elk.edgeLabels.placement': 'CENTER',
              // Near the state that is left: there one asks what can happen.
              'elk.layered.edgeLabels.centerLabelPlacementStrategy': backwards ? 'HEAD_LAYER' : 'TAIL_LAYER',
            },
          },
        ]
  const [from, to] = backwards ? [target, source] : [source, target]
  return { id, sources: [from], targets: [to], labels }
}

/** What can be reached from anywhere lies below the states it can be reached from: an edge that nobody sees pulls it there. */
function spacersOf({ root, arrows }: Graph): ElkExtendedEdge[] {
  return [...statesOf(root)].flatMap(({ id, states }) =>
    arrows
      .filter(({ source }) => source === `${id}#anywhere`)
      .flatMap(({ target }) => {
        const at = states.findIndex(state => state.id === target)
        const above = states[at - 1]
        if (!above || above.kind === 'anywhere') return []
        return [{ id: `${target}#below`, sources: [above.id], targets: [target] }]
      }),
  )
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

/** Without the little steps aside that ELK makes: where a line goes straight down, it may as well do so a little further along. */
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

// Not inherited by ELK: repeated on every state that has others inside. Found by trial; MODEL_ORDER for cycles or nodes crashes elkjs 0.12.1.
const OPTIONS: LayoutOptions = {
  'elk.algorithm': 'layered',
  'elk.direction': 'DOWN',
  'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
  'elk.edgeRouting': 'ORTHOGONAL',
  'elk.padding': `[top=${MARGIN},left=${MARGIN},bottom=${MARGIN},right=${MARGIN}]`,
  'elk.spacing.nodeNode': '24',
  'elk.spacing.edgeNode': '16',
  'elk.spacing.edgeEdge': '14',
  'elk.spacing.edgeLabel': '4',
  'elk.layered.spacing.nodeNodeBetweenLayers': '24',
  'elk.layered.spacing.edgeNodeBetweenLayers': '14',
  'elk.layered.spacing.edgeEdgeBetweenLayers': '12',
  'elk.layered.cycleBreaking.strategy': 'DEPTH_FIRST',
  'elk.layered.layering.strategy': 'NETWORK_SIMPLEX',
  'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
  'elk.randomSeed': '1',
  'elk.json.shapeCoords': 'ROOT',
  'elk.json.edgeCoords': 'ROOT',
}
