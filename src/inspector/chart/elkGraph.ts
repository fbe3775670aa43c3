import type { ElkExtendedEdge, ElkNode, LayoutOptions } from 'elkjs'
import type { Arrow, Graph, GraphState } from './graph.ts'
import { TITLE_SIZE, blockOf, textWidth, type Block } from './text.ts'

/*
 * A chart as ELK is asked to lay it out: how large everything is, what lies in what, and the settings. What ELK answers
 * is read in layout.ts.
 */

export const TITLE_HEIGHT = 28
export const ROW_PADDING = 10
export const PILL_PADDING = { x: 8, y: 3 }

// What is wider makes a chart that nobody can read beside a table; what is narrower breaks every label.
const ROW_WIDTH_MAX = 300
const FRAME_ROW_WIDTH_MAX = 620
const PILL_WIDTH_MAX = 250
export const MARGIN = 2

/** What is written where: in a state by its id, on an arrow by the arrow's. */
export type Texts = ReadonlyMap<string, Block>

export function textsOf({ root, arrows }: Graph): Texts {
  return new Map([
    ...[...statesOf(root)].map(state => [state.id, rowsOf(state, root)] as const),
    ...arrows.map(({ id, labels }) => [id, blockOf(labels, PILL_WIDTH_MAX)] as const),
  ])
}

export function textOf(texts: Texts, id: string): Block {
  return texts.get(id) ?? { lines: [], width: 0, height: 0 }
}

/** Cycles are broken here, by the order in which the states are written, which is the one their author thinks in. */
export function backwardsIn({ root }: Graph): (arrow: Arrow) => boolean {
  const order = new Map([...statesOf(root)].map(({ id }, index) => [id, index]))
  return ({ source, target }) => (order.get(source) ?? 0) > (order.get(target) ?? 0)
}

export function elkGraphOf(graph: Graph, texts: Texts, isBackwards: (arrow: Arrow) => boolean): ElkNode {
  const edges = graph.arrows.map(arrow => edgeOf(arrow, isBackwards(arrow), textOf(texts, arrow.id)))
  return {
    id: 'chart',
    layoutOptions: OPTIONS,
    children: [nodeOf(graph.root, texts)],
    edges: [...edges, ...spacersOf(graph)],
  }
}

export function* statesOf(state: GraphState): Generator<GraphState> {
  yield state
  for (const child of state.states) yield* statesOf(child)
}

function rowsOf(state: GraphState, root: GraphState): Block {
  return blockOf(state.rows, state === root ? FRAME_ROW_WIDTH_MAX : ROW_WIDTH_MAX)
}

function nodeOf(state: GraphState, texts: Texts): ElkNode {
  const { id, states } = state
  const { width, height } = sizeOf(state, textOf(texts, id))
  if (states.length === 0) return { id, width, height }
  return {
    id,
    layoutOptions: {
      ...OPTIONS,
      'elk.padding': `[top=${height + 14},left=20,bottom=20,right=20]`,
      'elk.nodeSize.constraints': 'MINIMUM_SIZE',
      'elk.nodeSize.minimum': `(${width}, ${height})`,
    },
    children: states.map(child => nodeOf(child, texts)),
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

/**
 * What can be reached from anywhere lies below the states it can be reached from: an edge that nobody sees pulls it
 * there.
 */
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

// Not inherited by ELK: repeated on every state that has others inside. Found by trial; MODEL_ORDER for cycles or nodes
// crashes elkjs 0.12.1.
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
