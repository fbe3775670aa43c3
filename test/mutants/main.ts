import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { packageDirectory } from '../../src/cli/package.ts'
import { type Mutant, MUTANTS } from './adapters.ts'

/*
 * `npm run mutants [-- WORDS]`: plants one bug after the other in a copy of the sources, in what the simulation's twins hide (gate, lease, ledger, launcher …), and runs the
 * tests that must find it. Exits 1 when one was not found, or when those tests fail without a bug. A place that is not there any more is an error.
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
  const sound = await run([...new Set(mutants.flatMap(({ tests }) => tests))])
  if (sound.failed) {
    console.log(`the tests fail without a planted bug:\n${sound.output}`)
    process.exitCode = 1
  } else {
    const missed = await plantAll()
    console.log(`${mutants.length - missed} of ${mutants.length} planted bugs found`)
    if (missed > 0) process.exitCode = 1
  }
} finally {
  await rm(root, { recursive: true, force: true })
}

async function plantAll(): Promise<number> {
  let missed = 0
  for (const mutant of mutants) {
    const began = performance.now()
    const path = join(root, mutant.file)
    const whole = await readFile(path, 'utf8')
    await writeFile(path, planted(whole, mutant))
    const { failed, first } = await run(mutant.tests)
    await writeFile(path, whole)
    if (!failed) missed += 1
    const seconds = ((performance.now() - began) / 1_000).toFixed(0)
    console.log(`${failed ? 'found    ' : 'NOT FOUND'}  ${mutant.file}: ${mutant.name} (${seconds} s)${first}`)
  }
  return missed
}

function planted(program: string, { name, file, edits }: Mutant): string {
  return edits.reduce((changed, [from, to]) => {
    const places = changed.split(from).length - 1
    if (places !== 1)
      throw new Error(
        `"${name}": ${file} has its place ${places} times instead of once; bring adapters.ts up to date: ${from}`,
      )
    return changed.replace(from, () => to)
  }, program)
}

async function run(tests: readonly string[]): Promise<{ failed: boolean; first: string; output: string }> {
  const vitest = join(modules, 'vitest/vitest.mjs')
  const child = spawn(process.execPath, [vitest, 'run', '--config', 'test/vitest.config.ts', '--bail', '1', ...tests], {
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
