import type { Entry } from '../journal/entry.ts'

/**
 * Which instance wrote a recording: its name is in what the machines order, so a replay needs it. Certain where the
 * journal says it; else a guess, and the answer says which.
 */
export interface Named {
  readonly instance: string
  readonly certain: boolean
}

/** null: nothing in the recording hints at a name. Reads no further than the first command that needs it. */
export async function instanceOf(entries: AsyncIterable<Entry>): Promise<Named | null> {
  let guess: string | null = null
  for await (const { what } of entries) {
    const certain = saidBy(what)
    if (certain !== null) return { instance: certain, certain: true }
    if (what.type === 'command.start' && what.loaded.ok) guess ??= what.loaded.configuration.instrument
    // Unless a command names an instrument, it is the instance.
    if (what.type === 'command.processData') return { instance: guess ?? what.dataId.instrument, certain: false }
  }
  return guess === null ? null : { instance: guess, certain: false }
}

function saidBy(what: Entry['what']): string | null {
  if (what.type === 'engine.started') return textOf(what, 'instance')
  if (what.type === 'engine.quiescent')
    return textOf(what.actors.find(({ kind }) => kind === 'csc')?.context, 'instance')
  // An instance that goes to its initial state by itself signs its commands (salobj's `<name>:init`).
  if (what.type === 'command.start') return /^(.+):init$/.exec(what.caller.identity)?.[1] ?? null
  return null
}

function textOf(value: unknown, field: string): string | null {
  if (typeof value !== 'object' || value === null) return null
  const found = (value as Readonly<Record<string, unknown>>)[field]
  return typeof found === 'string' ? found : null
}
