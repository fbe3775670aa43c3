/**
 * Says aloud what was not tested for want of a program: one sentence for each program, with the number of tests. With
 * CI set a missing program fails the run, so that an installation step that went missing cannot hide.
 */
import { readFileSync } from 'node:fs'
import type { Reporter, TestModule } from 'vitest/node'
import { isThere } from './isThere.ts'
import { type ProgramName, programs } from './outside.ts'

export class MissingPrograms implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = new Map<ProgramName, number>()
    for (const module of modules) {
      const program = neededBy(module.moduleId)
      if (program === null) continue
      const count = [...module.children.allTests('skipped')].length
      // Where it is there, others were skipped by whoever chose tests by name.
      if (count > 0 && !isThere(program)) skipped.set(program, (skipped.get(program) ?? 0) + count)
    }
    for (const [program, count] of skipped) {
      const tests = count === 1 ? '1 test was' : `${count} tests were`
      process.stderr.write(`\n${tests} skipped for want of ${programs[program].names[0]}: ${programs[program].get}.\n`)
    }
    if (skipped.size > 0 && process.env['CI']) process.exitCode = 1
  }
}

function neededBy(path: string): ProgramName | null {
  const name = /\b(?:needs|lacks)\('(\w+)'\)/.exec(readFileSync(path, 'utf8'))?.[1]
  return name !== undefined && name in programs ? (name as ProgramName) : null
}
