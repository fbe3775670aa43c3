import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { MUTANTS, type Mutant } from './planted.ts'

/*
 * `npm run simulate:mutants`: plants one bug after the other in a copy of the compiled program, and plays nights until
 * one breaks a promise. Prints which night and promise found each; exits 1 when one was not found. A planted bug whose
 * place is not there any more is an error, not a bug found.
 */

// Most are found in the first night; the rarest need a prerequisite of a job that ended just then, or a kill at the
// right moment.
const SEEDS = 60
const STEPS = 1_000
// A bug can also be an endless loop; the longest search for one that is none takes a fraction of this on two cores.
const SEARCH_MAX_MS = 600_000

interface Found {
  readonly seed: number
  readonly steps: number
  readonly violation: { readonly promise: string; readonly evidence: string }
}

// Wherever this program finds its own packages.
const modules = fileURLToPath(`${import.meta.resolve('xstate').split('/node_modules/')[0] ?? ''}/node_modules`)
const compiled = fileURLToPath(new URL('../../', import.meta.url))
const wanted = process.argv.slice(2).join(' ')
let missed = 0
for (const mutant of MUTANTS.filter(({ name }) => name.includes(wanted))) {
  const began = performance.now()
  const found = await search(mutant)
  const seconds = ((performance.now() - began) / 1_000).toFixed(0)
  if (found === null) missed += 1
  console.log(
    found === null
      ? `NOT FOUND  ${mutant.name} (${mutant.file}), ${seconds} s`
      : `found      ${mutant.name.padEnd(55)} seed ${String(found.seed).padEnd(4)} entry ${String(found.steps).padEnd(5)} ${found.violation.promise} (${seconds} s)`,
  )
}
if (missed > 0) process.exitCode = 1

async function search(mutant: Mutant): Promise<Found | null> {
  const root = await mkdtemp(join(tmpdir(), 'ocps-mutant-'))
  try {
    await copyProgram(root)
    await plant(root, mutant)
    return await simulate(root, mutant.finds)
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}

async function copyProgram(root: string): Promise<void> {
  const parts = ['machines', 'src', 'test/simulation', 'test/harness.js']
  for (const part of parts) await cp(join(compiled, part), join(root, part), { recursive: true })
  await symlink(modules, join(root, 'node_modules'))
  await writeFile(join(root, 'package.json'), '{"type":"module"}')
}

async function plant(root: string, { name, file, edits }: Mutant): Promise<void> {
  const path = join(root, file)
  let program = await readFile(path, 'utf8')
  for (const [from, to] of edits) {
    const places = program.split(from).length - 1
    if (places !== 1)
      throw new Error(
        `mutant "${name}": ${file} has its place ${places} times instead of once; bring planted.ts up to date: ${from}`,
      )
    program = program.replace(from, () => to)
  }
  await writeFile(path, program)
}

async function simulate(root: string, finds: Mutant['finds']): Promise<Found | null> {
  const kind = ['--kind', finds]
  const args = [join(root, 'test/simulation/main.js'), '--seeds', String(SEEDS), '--steps', String(STEPS)]
  const child = spawn(process.execPath, [...args, '--failures', '1', '--json', ...kind], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: SEARCH_MAX_MS,
    killSignal: 'SIGKILL',
  })
  const [said, complaints] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  // What breaks the simulation itself says so; it is not found by a promise, and counts as not found.
  if (said === '') {
    console.error(complaints.slice(0, 2_000))
    return null
  }
  const { failures } = JSON.parse(said) as { failures: Found[] }
  return failures[0] ?? null
}
