import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { bootId, identityOf, type ProcessIdentity } from '../../src/processes.ts'

/* Ledgers as launchers write them, without a launcher: who lives is this process, who is dead never was. */

export interface Written {
  readonly pid: number
  readonly name: string
  readonly path: string
  /** Appends lines, each with its end. */
  readonly say: (...lines: string[]) => void
  /** Appends as it is: a line that is not whole. */
  readonly cut: (text: string) => void
}

export interface Ledgers {
  readonly directory: string
  /** A launcher that lives, as long as the test: it has the identity of this process. */
  readonly living: () => Written
  /** A launcher whose pid is another process's by now. */
  readonly dead: (pid?: number, boot?: string) => Written
  /** Begins with this line, or with what is none. */
  readonly file: (name: string, firstLine: string) => Written
}

export function ledgers(): Ledgers {
  const directory = mkdtempSync(join(tmpdir(), 'ocps-ledger-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  let serial = 0
  const file = (name: string, firstLine: string, pid = 0): Written => {
    const path = join(directory, name)
    writeFileSync(path, firstLine)
    return {
      pid,
      name,
      path,
      say: (...lines) => appendFileSync(path, lines.map(line => `${line}\n`).join('')),
      cut: text => appendFileSync(path, text),
    }
  }
  const launcher = ({ pid, startTime }: ProcessIdentity, boot: string) =>
    file(`1795000000-${pid}-${String(++serial).padStart(4, '0')}`, `L ${pid} ${startTime} ${boot}\n`, pid)
  return {
    directory,
    living: () => launcher(self(), bootId()),
    dead: (pid = process.pid, boot = bootId()) => launcher({ pid, startTime: 1 }, boot),
    file: (name, firstLine) => file(name, firstLine),
  }
}

export function self(): ProcessIdentity {
  const identity = identityOf(process.pid)
  if (identity === null) throw new Error('this process does not find itself in /proc')
  return identity
}

/**
 * Exit status, wall, user and system time in microseconds, peak memory, bytes on stdout and stderr, how it was stopped,
 * survivors.
 */
export function endedLine(key: string, status = 0): string {
  return `E ${key} ${status} 2000 1000 500 4096 10 20 0 0`
}
