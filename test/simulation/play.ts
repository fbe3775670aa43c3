import { foldAnew } from './direct.ts'
import { act, drawAction, type Action } from './actions.ts'
import { drawsFrom } from './draws.ts'
import { createNight, type Night, type NightKind } from './night.ts'
import { difference } from './replay.ts'
import type { Violation } from './violation.ts'

/**
 * Plays a night from its beginning to its end: actions drawn from the seed until so many entries are journaled (a step
 * is one journaled entry), then everything is brought to its end. The same seed, kind and actions are the same night,
 * entry by entry.
 */
export interface Played {
  readonly plan: Plan
  readonly seed: number
  readonly kind: NightKind
  /** Journaled entries. */
  readonly steps: number
  readonly jobs: number
  readonly lives: number
  readonly actions: readonly Action[]
  readonly violation: Violation | null
  readonly lines: () => readonly string[]
}

export interface Plan {
  readonly seed: number
  readonly kind: NightKind
  readonly steps: number
  /** Instead of actions drawn from the seed: these. */
  readonly actions?: readonly Action[]
  /** Breaks a promise on purpose at these actions, to try the shrinking. */
  readonly isTrap?: (action: Action) => boolean
}

// A night lasts as long as its entries; this one would have no end.
const ACTIONS_MAX = 50_000
// What is open ends within time limits, retries, patience and deadlines, all under two minutes; prerequisites and late
// members add some rounds.
const ROUNDS_MAX = 40
const ROUND_MS = 60_000
// Of the nights, how many are folded anew at their end.
const FOLDED_ANEW_EVERY = 8

/** One in so many nights goes through the engine itself. */
export const WHOLE_EVERY = 10

export function kindOf(seed: number): NightKind {
  return seed % WHOLE_EVERY === 0 ? 'whole' : 'direct'
}

export async function play(plan: Plan): Promise<Played> {
  const { seed, kind } = plan
  const night = createNight(seed, kind)
  const actions: Action[] = []
  try {
    await through(night, night.agenda.elapsed() + 1)
    for (const action of plan.actions ?? drawn(seed)) {
      if (night.site.entries() >= plan.steps || night.promises.violation() !== null) break
      actions.push(action)
      act(night, action)
      if (plan.isTrap?.(action)) night.promises.broken('all ends', `stopped by a trap at ${action.name}`)
      await through(night, night.agenda.elapsed() + action.choices[3])
    }
    if (night.promises.violation() === null) await finish(night)
    if (night.promises.violation() === null && seed % FOLDED_ANEW_EVERY === 0) foldedTheSame(night)
  } catch (error) {
    night.promises.broken('no fault of its own', `it threw ${error instanceof Error ? error.stack : String(error)}`)
  }
  const { site, promises } = night
  return {
    plan,
    seed,
    kind,
    steps: site.entries(),
    jobs: promises.jobIds().length,
    lives: night.lives(),
    actions,
    violation: promises.violation(),
    lines: site.lines,
  }
}

function* drawn(seed: number): Generator<Action> {
  const draw = drawsFrom(`${seed} actions`)
  for (let index = 0; index < ACTIONS_MAX; index++) yield drawAction(draw, index)
}

/** Lets time pass; after every happening the promises are looked at. */
async function through({ agenda, site, promises }: Night, until: number): Promise<void> {
  for (let goesOn = true; goesOn; ) {
    // What was done at this very moment resolves before the next thing happens.
    const turn = site.turn()
    if (turn) await turn
    site.verify()
    if (promises.violation() !== null) return
    goesOn = agenda.next(until)
  }
}

async function finish(night: Night): Promise<void> {
  const { site, promises, agenda } = night
  await through(night, agenda.elapsed() + 20_000)
  for (let round = 0; round < ROUNDS_MAX && promises.violation() === null; round++) {
    const world = site.world()
    const isOpen = world === null || world.quiet() === null || night.resendUnanswered() > 0
    if (!isOpen && site.isSettled()) return promises.conclude(world)
    // Whatever the operators did, these bring it up; and open groups wait for nothing but to be closed.
    for (const name of ['standby', 'start', 'enable', 'resume'])
      if (round < 2 || name === 'resume') night.send(`end${round}.${name}`, name, {})
    for (const { address, snapshot } of world?.actors('gather') ?? [])
      if (snapshot.value === 'open')
        night.send(`end${round}.${address}`, 'closeGroup', { group: (snapshot.context as { group: string }).group })
    await through(night, agenda.elapsed() + ROUND_MS)
  }
  const world = site.world()
  if (promises.violation() !== null) return
  if (world) promises.conclude(world)
  const groups = [...(world?.actors('gather') ?? [])].map(
    ({ address, snapshot }) => `${address} ${String(snapshot.value)}`,
  )
  promises.broken(
    'all ends',
    `after ${ROUNDS_MAX} rounds ${night.unanswered().join(', ') || 'no command'} waits for an answer; ${groups.join(', ')}`,
  )
}

function foldedTheSame({ site, promises }: Night): void {
  const world = site.world()
  if (world === null) return
  for (const from of ['start', 'mark'] as const) {
    const different = difference(foldAnew(site.lines(), from), world)
    if (different !== null) promises.broken('replay is the same', `folded anew from ${from}: ${different}`)
  }
}
