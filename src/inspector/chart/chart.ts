import { machines, type MachineKind } from '../../../machines/index.ts'
import { graphOf, type GraphState, type Label } from './graph.ts'
import { layoutOf, type Box } from './layout.ts'
import { svgOf } from './svg.ts'

/*
 * The chart of a machine: a picture, and the list of what can be lit in it. Laid out once per process and machine; a
 * page that shows a thousand actors needs one picture per kind.
 */

export interface Chart {
  readonly kind: MachineKind
  readonly svg: string
  /** Pixels. */
  readonly width: number
  readonly height: number
  readonly states: readonly ChartState[]
  readonly edges: readonly ChartEdge[]
}

export interface ChartState extends Box {
  /** What [data-state] says in the picture, e.g. `job.held.awaitingData`. */
  readonly id: string
  readonly name: string
  readonly parent: string | null
  readonly kind: GraphState['kind']
}

/** One transition. */
export interface ChartEdge {
  /** What [data-edge] says in the picture, e.g. `job.queued|slot.granted|0`. */
  readonly id: string
  readonly source: string
  /** null if the state is not left. */
  readonly target: string | null
  /** What it waits for: a message, nothing (it is taken as soon as its guard holds), or a time. */
  readonly kind: 'event' | 'always' | 'after'
  /** The message, with `*` for any; '' for always; `after <delay>`. */
  readonly event: string
  readonly guard: string | null
  readonly actions: readonly string[]
}

export interface ChartOptions {
  /** Ids of states to show as active; those around them are, too. */
  readonly active?: readonly string[]
  /** Ids of edges to show as just taken. */
  readonly taken?: readonly string[]
}

/** Lights nothing unless asked to. Throws an Error if the layout fails, which only a new machine could make it do. */
export async function chartOf(kind: MachineKind, { active = [], taken = [] }: ChartOptions = {}): Promise<Chart> {
  const graph = graphOf(machines[kind])
  const layout = await layoutOf(graph)
  const real = layout.states.filter(({ state }) => state.kind !== 'initial' && state.kind !== 'anywhere')
  const labels = [...layout.states.flatMap(({ state }) => state.rows), ...graph.arrows.flatMap(arrow => arrow.labels)]
  const lit = { active: new Set(active.flatMap(withAncestors)), taken: new Set(taken) }
  return {
    kind,
    svg: svgOf(`chart-${kind}`, layout, `Statechart of ${kind}`, inWords(kind, labels), lit),
    width: layout.width,
    height: layout.height,
    states: real.map(({ state: { id, name, parent, kind: of }, x, y, width, height }) => {
      return { id, name, parent, kind: of, x, y, width, height }
    }),
    edges: labels.flatMap(edgeOf),
  }
}

function edgeOf({ edge, kind, source, target, event, guard, actions }: Label): ChartEdge[] {
  if (edge === null || kind === 'entry' || kind === 'exit') return []
  return [{ id: edge, source, target, kind, event, guard, actions }]
}

/** `job.held.awaitingData` is inside `job.held` and `job`. */
function withAncestors(id: string): string[] {
  const parts = id.split('.')
  return parts.map((_, index) => parts.slice(0, index + 1).join('.'))
}

/** For those who do not see it. */
function inWords(kind: string, labels: readonly Label[]): string {
  const moves = labels.filter(({ target }) => target !== null)
  const sentences = moves.map(({ source, event, guard, target }) => {
    const when = [event, guard === null ? '' : `if ${guard}`].filter(part => part !== '').join(' ')
    return `${source} goes to ${target} ${when === '' ? 'at once' : `on ${when}`}`
  })
  return `The states of ${kind} and how they follow each other: ${sentences.join('; ')}.`
}
