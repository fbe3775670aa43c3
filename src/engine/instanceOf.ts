import type { Entry } from '../journal/entry.ts'

/**
 * Which instance wrote a recording: its name is in what the machines order, so a replay needs it. Certain where the journal says it; else a
 * guess, and the answer says which.
 */
export interface Named {
  readonly instance: string
  readonly certain: boolean
}

/** null: nothing in the recording hints at a name. Reads no further than the first command that needs it. */
export async function instanceOf(entries: AsyncIterable<Entry>): Promise<Named | null> {
  let guess: string | null = null
  for await (const { what } of entries) {
    switch (what.type) {
      case 'engine.started': {
        const { instance } = what as { instance?: unknown }
        if (typeof instance === 'string') return { instance, certain: true }
        break
      }
      case 'engine.quiescent': {
        const csc = what.actors.find(({ kind }) => kind === 'csc')
        const { instance } = (csc?.context ?? {}) as { instance?: unknown }
        if (typeof instance === 'string') return { instance, certain: true }
        break
      }
      case 'command.start': {
        // An instance that goes to its initial state by itself signs its commands (salobj's `<name>:init`).
        const [, name] = /^(.+):init$/.exec(what.caller.identity) ?? []
        if (name !== undefined) return { instance: name, certain: true }
        if (what.loaded.ok) guess ??= what.loaded.configuration.instrument
        break
      }
      case 'command.processData':
        // Unless a command names an instrument, it is the instance.
        return { instance: guess ?? what.dataId.instrument, certain: false }
      default:
    }
  }
  return guess === null ? null : { instance: guess, certain: false }
}
