import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { packageDirectory } from '../../src/cli/package.ts'
import { MUTANTS } from './adapters.ts'
import type { Mutant } from './mutant.ts'

/*
 * `npm run mutants [-- WORDS]`: plants one bug after the other in a copy of the sources, in what the simulation's twins
 * hide (gate, lease, ledger, launcher …), and runs the tests that must find it. Exits 1 when one was not found, or when
 * those tests fail without a bug. A place that is not there any more is an error.
 */

// Tests that hang because of a bug have found it.
const TESTS_MAX_MS = 180_000

const modules = join(packageDirectory(), 'node_modules')
const wanted = process.argv.slice(2).join(' ')
const mutants = MUTANTS.filter(({ name, file }) => `${file}: ${name}`.includes(wanted))
const root = await mkdtemp(join(tmpdir(), 'ocps-mutants-'))
try {
  for (const part of ['machines', 'src', 'test', 'config', 'package.json', 'tsconfig.json'])
    await cp(join(packageDirectory(), part), join(root, part), { recursive: true })
  await symlink(modules, join(root, 'node_modules'))
  for (const mutant of mutants) planted(await readFile(join(root, mutant.file), 'utf8'), mutant)
  const problem = await unsound()
  if (problem !== null) {
    console.log(`the tests fail without a planted bug:\n${problem}`)
    process.exitCode = 1
  } else {
    const missed = await plantAll()
    console.log(`${mutants.length - missed} of ${mutants.length} planted bugs found`)
    if (missed > 0) process.exitCode = 1
  }
} finally {
  await rm(root, { recursive: true, force: true })
}

/** What the tests say without a bug, where they fail. */
async function unsound(): Promise<string | null> {
  for (const chosen of new Set(mutants.map(({ only }) => only))) {
    const tests = mutants.flatMap(one => (one.only === chosen ? one.tests : []))
    const { failed, output } = await run([...new Set(tests)], chosen)
    if (failed) return output
  }
  return null
}

async function plantAll(): Promise<number> {
  let missed = 0
  for (const mutant of mutants) {
    const began = performance.now()
    const path = join(root, mutant.file)
    const whole = await readFile(path, 'utf8')
    await writeFile(path, planted(whole, mutant))
    const { failed, first } = await run(mutant.tests, mutant.only)
    await writeFile(path, whole)
    if (!failed) missed += 1
    const seconds = ((performance.now() - began) / 1_000).toFixed(0)
    console.log(`${failed ? 'found    ' : 'NOT FOUND'}  ${mutant.file}: ${mutant.name} (${seconds} s)${first}`)
  }
  return missed
}

function planted(program: string, { name, file, from, to }: Mutant): string {
  const places = program.split(from).length - 1
  if (places !== 1)
    throw new Error(
      `"${name}": ${file} has its place ${places} times instead of once; bring the list up to date: ${from}`,
    )
  return program.replace(from, () => to)
}

async function run(
  tests: readonly string[],
  only: string,
): Promise<{ failed: boolean; first: string; output: string }> {
  const vitest = join(modules, 'vitest/vitest.mjs')
  const chosen = only === '' ? [] : ['--testNamePattern', only.replaceAll(/[()]/g, '.')]
  const args = ['run', '--config', 'test/vitest.config.ts', '--bail', '1', ...chosen, ...tests]
  const child = spawn(process.execPath, [vitest, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1' },
  })
  const late = setTimeout(() => child.kill('SIGTERM'), TESTS_MAX_MS)
  const [output, complaints, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ])
  clearTimeout(late)
  const title = /^ *[×✗] (.*)$/m.exec(output)?.[1] ?? ''
  return {
    failed: code !== 0,
    first: title === '' ? '' : `\n             by: ${title.trim()}`,
    output: `${output}${complaints}`,
  }
}
