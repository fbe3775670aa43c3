import { readFile } from 'node:fs/promises'
import { assign, createActor, emit, setup } from 'xstate'
import { describe, expect, test } from 'vitest'
import { machines, type MachineKind } from '../../machines/index.ts'
import { chartOf } from '../../src/inspector/chart/chart.ts'
import { graphOf, nodesOf, type GraphState, type Label } from '../../src/inspector/chart/graph.ts'
import { elkLayout } from '../../src/inspector/chart/elk.ts'
import { layoutOf } from '../../src/inspector/chart/layout.ts'
import { svgOf } from '../../src/inspector/chart/svg.ts'
import { activeStates, edgeIdOf, edgesFromStart, edgesTaken, legalMessages } from '../../src/inspector/chart/taken.ts'
import { blockOf } from '../../src/inspector/chart/text.ts'
import { createNight } from '../night.ts'

const KINDS = Object.keys(machines) as MachineKind[]

/** A kettle: nested, with a history, a timer, guards and every sort of transition. */
const kettle = setup({
  types: { context: {} as { warm: boolean }, events: {} as { type: string }, emitted: {} as { type: 'whistle' } },
  delays: { boiling: 1_000 },
  guards: { isWarm: ({ context }) => context.warm },
  actions: {
    heat: assign({ warm: true }),
    whistle: emit({ type: 'whistle' }),
    say: (_self, _params: { word: string }) => {},
  },
}).createMachine({
  id: 'kettle',
  context: { warm: false },
  initial: 'on',
  on: { 'mains.lost': '.off', 'mains.flickered': { actions: { type: 'say', params: { word: 'oh' } } } },
  states: {
    on: {
      initial: 'asBefore',
      on: { 'button.pressed': 'off' },
      states: {
        asBefore: { type: 'history', target: 'idle' },
        idle: {
          on: {
            'water.poured': [
              { guard: 'isWarm', target: 'hot' },
              { target: 'hot', actions: 'heat' },
            ],
            'water.spilled': {},
          },
        },
        hot: { entry: 'whistle', after: { boiling: 'judged' } },
        judged: { always: [{ guard: 'isWarm', target: '#kettle.off' }, { target: 'idle' }] },
      },
    },
    off: { type: 'final' },
  },
})

function* statesOf(state: GraphState): Generator<GraphState> {
  yield state
  for (const child of state.states) yield* statesOf(child)
}

function labelsOf(machine: Parameters<typeof graphOf>[0]): Label[] {
  const { root, arrows } = graphOf(machine)
  return [...[...statesOf(root)].flatMap(({ rows }) => rows), ...arrows.flatMap(({ labels }) => labels)]
}

describe('what a chart shows', () => {
  const { root, arrows } = graphOf(kettle)
  const states = new Map([...statesOf(root)].map(state => [state.id, state]))
  const textOf = (labels: readonly Label[]) =>
    blockOf(labels, 1_000).lines.map(line =>
      line
        .map(({ text }) => text)
        .join('')
        .trim(),
    )

  test('states lie inside states, and each compound state begins at a marker', () => {
    expect(states.get('kettle.on')?.states.map(({ id, kind }) => `${kind} ${id}`)).toEqual([
      'initial kettle.on#initial',
      'history kettle.on.asBefore',
      'atomic kettle.on.idle',
      'atomic kettle.on.hot',
      'atomic kettle.on.judged',
    ])
    expect(states.get('kettle.off')?.kind).toBe('final')
    const marks = arrows.filter(({ kind }) => kind !== 'transition').map(({ source, target }) => `${source} ${target}`)
    expect(marks).toEqual([
      'kettle#initial kettle.on',
      'kettle.on#initial kettle.on.asBefore',
      'kettle.on.asBefore kettle.on.idle',
    ])
  })

  test('transitions between the same two states are one arrow with one line each, as event [guard] / actions', () => {
    const arrow = arrows.find(({ id }) => id === 'kettle.on.idle>kettle.on.hot')
    expect(textOf(arrow?.labels ?? [])).toEqual(['water.poured [isWarm]', 'water.poured [else] / heat'])
    expect(arrow?.labels.map(({ edge }) => edge)).toEqual([
      'kettle.on.idle|water.poured|0',
      'kettle.on.idle|water.poured|1',
    ])
  })

  test('a timer is named by its delay, and what waits for nothing by its guard', () => {
    const labels = (id: string) => textOf(arrows.find(arrow => arrow.id === id)?.labels ?? [])
    expect(labels('kettle.on.hot>kettle.on.judged')).toEqual(['after boiling'])
    expect(labels('kettle.on.judged>kettle.off')).toEqual(['[isWarm]'])
    expect(labels('kettle.on.judged>kettle.on.idle')).toEqual(['[else]'])
  })

  test('what does not leave a state is a row inside it, and the actions with which XState sets timers are not shown', () => {
    expect(textOf(states.get('kettle')?.rows ?? [])).toEqual(['mains.flickered / say(oh)'])
    expect(textOf(states.get('kettle.on.idle')?.rows ?? [])).toEqual(['water.spilled is ignored'])
    expect(textOf(states.get('kettle.on.hot')?.rows ?? [])).toEqual(['entry / whistle'])
  })

  test('a transition from the whole machine to a state in it comes from a marker "any state"', () => {
    expect(arrows.find(({ source }) => source === 'kettle#anywhere')?.target).toBe('kettle.off')
  })

  test.each(KINDS)('every transition of the %s machine appears exactly once, under an id of its own', kind => {
    const inMachine = [...nodesOf(machines[kind].root)].flatMap(({ id, transitions, always = [] }) =>
      [...transitions.values(), always].flatMap(group => group.map(({ target }) => `${id} ${target?.[0]?.id ?? ''}`)),
    )
    const labels = labelsOf(machines[kind]).filter(({ edge }) => edge !== null)
    expect(labels.map(({ source, target }) => `${source} ${target ?? ''}`).sort()).toEqual(inMachine.sort())
    expect(new Set(labels.map(({ edge }) => edge)).size).toBe(labels.length)
    const { root: frame, arrows: lines } = graphOf(machines[kind])
    const ids = [...[...statesOf(frame)].map(({ id }) => id), ...lines.map(({ id }) => id)]
    expect(new Set(ids).size).toBe(ids.length)
  })

  test.each(KINDS)('every guard and action of the %s machine has a name', kind => {
    const names = labelsOf(machines[kind]).flatMap(({ guard, actions }) => [guard, ...actions])
    expect(names).not.toContain('unnamed')
  })
})

describe('what is lit in a chart', () => {
  const initial = createActor(kettle).getSnapshot()
  const after = (type: string) => machineStep(initial, type)

  test('the edge of a message is the one whose guard holds', () => {
    expect(edgeIdOf(kettle, initial, { type: 'water.poured' })).toBe('kettle.on.idle|water.poured|1')
    expect(edgeIdOf(kettle, initial, { type: 'button.pressed' })).toBe('kettle.on|button.pressed|0')
    expect(edgeIdOf(kettle, initial, { type: 'cat.walked' })).toBeNull()
  })

  test('transitions that follow at once are taken, too', () => {
    const hot = after('water.poured')
    expect(edgesTaken(kettle, hot, { type: 'xstate.after.boiling.kettle.on.hot' })).toEqual([
      'kettle.on.hot|after boiling|0',
      'kettle.on.judged||0',
    ])
  })

  test('a new actor has taken those that follow at once when it began', async () => {
    const night = await createNight()
    await night.enable()
    const opened = async (more: object) => {
      const ack = await night.command('processData', { dataId: { obsid: 'E1' }, pipeline: 'quicklook', ...more })
      return night.engine().world.actor(`job.${ack?.jobIds[0]}`)?.snapshot
    }
    const [first, second] = [await opened({}), await opened({ readiness: { waitFor: 60 } })]
    expect(first && edgesFromStart(machines.job, first)).toEqual(['job.arriving||0'])
    expect(second && edgesFromStart(machines.job, second)).toEqual(['job.arriving||2'])
    const csc = night.engine().world.actor('csc')?.snapshot
    expect(csc && edgesFromStart(machines.csc, csc)).toEqual([])
  })

  test('an active state is lit with those around it, and the messages it hears are listed, the innermost first', async () => {
    expect(activeStates(kettle, initial.value)).toEqual(['kettle', 'kettle.on', 'kettle.on.idle'])
    const { edges } = await chartOf('job')
    expect(legalMessages(edges, ['job', 'job.held', 'job.held.awaitingData'])).toEqual([
      'data.present',
      'data.located',
      'data.absent',
      'job.abort',
    ])
  })

  test('an edge and a state of a picture are lit by their ids', async () => {
    const { svg } = await chartOf('csc', { active: ['csc.fault'], taken: ['csc|engine.fault|0'] })
    expect(svg).toContain('class="state atomic is-active" data-state="csc.fault"')
    expect(svg).toContain('class="event is-taken" data-edge="csc|engine.fault|0"')
    expect(svg.match(/class="arrow to-transition is-taken"/g)).toHaveLength(1)
    const { svg: dark } = await chartOf('csc')
    expect(dark).not.toContain('class="state atomic is-active"')
  })

  function machineStep(snapshot: typeof initial, type: string): typeof initial {
    const actor = createActor(kettle, { snapshot }).start()
    actor.send({ type })
    const next = actor.getSnapshot()
    actor.stop()
    return next
  }
})

describe('where things lie', () => {
  test.each(KINDS)(
    'in the chart of %s everything lies inside its state, and no two states or labels overlap',
    async kind => {
      const { states, arrows, width, height } = await layoutOf(graphOf(machines[kind]))
      const boxes = new Map(states.map(placed => [placed.state.id, placed]))
      for (const { state, x, y, width: w, height: h } of states) {
        const around = boxes.get(state.parent ?? '') ?? { x: 0, y: 0, width, height }
        expect(x > around.x && y > around.y, state.id).toBe(true)
        expect(x + w < around.x + around.width && y + h < around.y + around.height, state.id).toBe(true)
      }
      const leaves = states.filter(({ state }) => state.states.length === 0).map(box => ({ ...box, id: box.state.id }))
      const pills = arrows.flatMap(({ label, arrow }) => (label ? [{ ...label, id: arrow.id }] : []))
      const solid = [...leaves, ...pills]
      for (const [index, one] of solid.entries())
        for (const other of solid.slice(index + 1)) expect(isApart(one, other), `${one.id} and ${other.id}`).toBe(true)
    },
  )

  test.each(KINDS)('in the chart of %s every arrow ends at the states it joins', async kind => {
    const { states, arrows } = await layoutOf(graphOf(machines[kind]))
    const boxes = new Map(states.map(placed => [placed.state.id, placed]))
    for (const { arrow, points } of arrows) {
      expect(isOnBorder(boxes.get(arrow.source), points.at(0)), `the beginning of ${arrow.id}`).toBe(true)
      expect(isOnBorder(boxes.get(arrow.target), points.at(-1)), `the end of ${arrow.id}`).toBe(true)
    }
  })

  test.each(KINDS)('in the chart of %s no arrow runs through a label that is not its own or a state', async kind => {
    const { states, arrows } = await layoutOf(graphOf(machines[kind]))
    const leaves = states.filter(({ state }) => state.states.length === 0).map(box => ({ ...box, id: box.state.id }))
    for (const { arrow, points } of arrows) {
      const others = arrows.flatMap(({ label, arrow: { id } }) => (label && id !== arrow.id ? [{ ...label, id }] : []))
      for (const [index, from] of points.slice(0, -1).entries()) {
        const to = points[index + 1] ?? from
        const line = { x: Math.min(from.x, to.x), y: Math.min(from.y, to.y), width: 0, height: 0 }
        const piece = { ...line, width: Math.abs(from.x - to.x), height: Math.abs(from.y - to.y) }
        for (const box of [...leaves, ...others]) {
          const inner = { x: box.x + 0.5, y: box.y + 0.5, width: box.width - 1, height: box.height - 1 }
          expect(isApart(piece, inner), `${arrow.id} and ${box.id}`).toBe(true)
        }
      }
    }
  })

  test('a layout that ELK cannot make is an error of one sentence', async () => {
    const wrong = { id: 'wrong', children: [], edges: [{ id: 'e', sources: ['nowhere'], targets: ['nowhere'] }] }
    await expect(elkLayout(wrong)).rejects.toThrow(/^a chart could not be laid out: .{10,200}$/)
  })
})

describe('the picture', () => {
  test('what a machine is named cannot break out of the picture', async () => {
    const evil = setup({}).createMachine({
      id: 'evil',
      initial: '<script>"&',
      states: { '<script>"&': { on: { 'a"><b': {} } } },
    })
    const graph = graphOf(evil)
    const svg = svgOf('evil', await layoutOf(graph), '<&>', '"', { active: new Set(), taken: new Set() })
    expect(svg).not.toContain('<script>')
    expect(svg).not.toContain('<b')
    expect(tagsOf(svg)).toBe('balanced')
  })

  test.each(KINDS)('the chart of %s is well-formed, and the one on disk shows the machine as it is', async kind => {
    const { svg } = await chartOf(kind)
    expect(tagsOf(svg)).toBe('balanced')
    const onDisk = await readFile(new URL(`../charts/${kind}.svg`, import.meta.url), 'utf8')
    expect(onDisk === svg, `test/charts/${kind}.svg is of another machine: run npm run charts, and look at it`).toBe(
      true,
    )
  })

  test('every edge and state that is listed is in the picture', async () => {
    const { svg, edges, states } = await chartOf('gather')
    for (const { id } of edges) expect(svg).toContain(`data-edge="${id}"`)
    for (const { id } of states) expect(svg).toContain(`data-state="${id}"`)
  })
})

interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

function isApart(one: Box, other: Box): boolean {
  return (
    one.x + one.width <= other.x ||
    other.x + other.width <= one.x ||
    one.y + one.height <= other.y ||
    other.y + other.height <= one.y
  )
}

function isOnBorder(box: Box | undefined, point: { readonly x: number; readonly y: number } | undefined): boolean {
  if (!box || !point) return false
  const near = (one: number, other: number) => Math.abs(one - other) <= 0.3
  const within = (at: number, from: number, length: number) => at >= from - 0.3 && at <= from + length + 0.3
  const onSide = near(point.x, box.x) || near(point.x, box.x + box.width)
  const onEnd = near(point.y, box.y) || near(point.y, box.y + box.height)
  return (onSide && within(point.y, box.y, box.height)) || (onEnd && within(point.x, box.x, box.width))
}

/** Every element is closed in order, every attribute quoted, and every `&` is an entity. */
function tagsOf(xml: string): string {
  const open: string[] = []
  const rest = xml.replace(
    /<(\/?)([a-z]+)((?: [a-zA-Z:-]+="[^"<]*")*)(\/?)>/g,
    (_all, end, name, _attributes, empty) => {
      if (end === '/') return open.pop() === name ? '' : `<${name} is closed out of order>`
      if (empty !== '/') open.push(String(name))
      return ''
    },
  )
  if (open.length > 0) return `${open.join()} left open`
  // Children in the style are the only `>` left.
  const stray = /<|&(?!#\d+;)/.exec(rest)
  return stray ? `stray ${rest.slice(stray.index, stray.index + 40)}` : 'balanced'
}
