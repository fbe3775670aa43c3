import type { Executor, Locator, Sink } from '../../machines/ports.ts'
import { sentences } from '../contract/decode.ts'
import { executeDoor } from '../doors/execute.ts'
import { natsDoor } from '../doors/nats.ts'
import { localExecutor, simulatedExecutor } from '../executor/local.ts'
import { oodsLocator } from '../locators/oods.ts'
import type {
  Door,
  DoorContext,
  DoorPart,
  ExecutorContext,
  ExecutorPart,
  LocatorContext,
  LocatorPart,
  Part,
  SinkContext,
  SinkPart,
} from '../parts.ts'
import { natsSink } from '../sinks/nats/sink.ts'
import { UserError } from '../userError.ts'

/** The parts there are. A new one is a folder that exports a part, and its name in one of these lists. */
export interface Parts {
  readonly doors: readonly DoorPart[]
  readonly locators: readonly LocatorPart[]
  readonly executors: readonly ExecutorPart[]
  readonly sinks: readonly SinkPart[]
}

export const PARTS: Parts = {
  doors: [natsDoor, executeDoor],
  locators: [oodsLocator],
  executors: [localExecutor, simulatedExecutor],
  sinks: [natsSink],
}

/** Settings of parts by their names; false switches one off that would be opened without any. */
export type PartSettings = { readonly [Kind in keyof Parts]?: Readonly<Record<string, unknown>> }

/** A part that is opened, with its settings checked. */
interface Chosen<P> {
  readonly part: P
  readonly settings: unknown
}

export type ChosenParts = { readonly [Kind in keyof Parts]: readonly Chosen<Parts[Kind][number]>[] }

/** Which parts are opened, and with what. Throws UserError for settings that are wrong or nobody's. */
export function chooseParts(parts: Parts, given: PartSettings): ChosenParts {
  return {
    doors: chosenOf('door', parts.doors, given.doors),
    locators: chosenOf('locator', parts.locators, given.locators),
    executors: chosenOf('executor', parts.executors, given.executors),
    sinks: chosenOf('sink', parts.sinks, given.sinks),
  }
}

function chosenOf<P extends Pick<Part<never, unknown>, 'name' | 'settings'>>(
  kind: string,
  parts: readonly P[],
  given: Readonly<Record<string, unknown>> = {},
): Chosen<P>[] {
  const nobodys = Object.keys(given).find(name => !parts.some(part => part.name === name))
  if (nobodys !== undefined)
    throw new UserError(
      `there are settings for the ${kind} ${JSON.stringify(nobodys)}, and there is no such ${kind}; there are ${parts.map(({ name }) => name).join(', ')}`,
    )
  return parts.flatMap(part => {
    const own = given[part.name]
    if (own === false) return []
    const { success, data, error } = part.settings.safeParse(own)
    if (success) return [{ part, settings: data }]
    if (own === undefined) return []
    throw new UserError(`the settings of the ${kind} ${part.name} are wrong: ${sentences(error)}`)
  })
}

export async function openDoors(
  chosen: ChosenParts['doors'],
  context: Omit<DoorContext, 'heardElsewhere'>,
  opened: (door: Door) => void,
): Promise<void> {
  for (const { part, settings } of chosen) {
    const heardElsewhere = new Set(chosen.flatMap(other => (other.part === part ? [] : (other.part.hears ?? []))))
    opened(await part.open({ ...context, heardElsewhere }, settings))
  }
}

export async function openSinks(
  chosen: ChosenParts['sinks'],
  context: SinkContext,
): Promise<{ name: string; sink: Sink }[]> {
  const sinks: { name: string; sink: Sink }[] = []
  for (const { part, settings } of chosen) sinks.push({ name: part.name, sink: await part.open(context, settings) })
  return sinks
}

/** The first there is. */
export async function openLocator(chosen: ChosenParts['locators'], context: LocatorContext): Promise<Locator> {
  const [first] = chosen
  if (first === undefined) throw new UserError('no locator is opened, so nobody would say where data are')
  return await first.part.open(context, first.settings)
}

export async function openExecutor(
  chosen: ChosenParts['executors'],
  name: string,
  context: ExecutorContext,
): Promise<Executor> {
  const one = chosen.find(({ part }) => part.name === name)
  if (one === undefined) throw new UserError(`the executor ${name} is not opened, so nothing would run`)
  return await one.part.open(context, one.settings)
}
