import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { MUTANTS as SIMULATED } from '../simulation/planted.ts'
import { MUTANTS } from './adapters.ts'

/* Bugs are planted by replacing a text: one whose text has changed since would be planted nowhere. */

const root = new URL('../../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), 'utf8')

test.each(MUTANTS.map(one => [`${one.file}: ${one.name}`, one] as const))('%s has its place', (_, { file, from }) => {
  expect(read(file).split(from)).toHaveLength(2)
})

// The simulation plants its bugs in the compiled program, which "npm test" has made.
const compiled = existsSync(new URL('dist/', root)) ? SIMULATED : []
test.each(compiled.map(one => [`${one.file}: ${one.name}`, one] as const))('%s has its place', (_, { file, edits }) => {
  const program = read(`dist/${file}`)
  for (const [from] of edits) expect(program.split(from), from).toHaveLength(2)
})
