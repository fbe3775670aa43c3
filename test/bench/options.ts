/** The options main.ts and gate.ts share. A wrong one ends the process with a sentence. */
import { parseArgs } from 'node:util'
import { names } from './bench.ts'
import { FULL, QUICK, type Sizes } from './sizes.ts'

export interface Options {
  readonly sizes: Sizes
  readonly only: readonly string[] | null
  /** A file to write every value to. */
  readonly json: string | undefined
  /** For the gate: a file written by --json, instead of measuring. */
  readonly from: string | undefined
  /** For the gate: what was measured is the baseline from now on. */
  readonly write: boolean
}

const known = {
  quick: { type: 'boolean' },
  only: { type: 'string' },
  rounds: { type: 'string' },
  json: { type: 'string' },
  from: { type: 'string' },
  write: { type: 'boolean' },
} as const

export function optionsOf(words: readonly string[], allowed: readonly (keyof typeof known)[]): Options {
  try {
    const options = Object.fromEntries(Object.entries(known).filter(([name]) => allowed.some(one => one === name)))
    const { values } = parseArgs({ args: [...words], options: options as typeof known })
    const sizes = values.quick === true ? QUICK : FULL
    const rounds = values.rounds === undefined ? sizes.rounds : Number(values.rounds)
    if (!Number.isInteger(rounds) || rounds < 1)
      throw new Error(`--rounds ${values.rounds} must be a whole number above 0`)
    const only = values.only?.split(',') ?? null
    for (const name of only ?? [])
      if (!names.includes(name)) throw new Error(`--only ${name} is not known; there are ${names.join(', ')}`)
    return { sizes: { ...sizes, rounds }, only, json: values.json, from: values.from, write: values.write === true }
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(2)
  }
}
