import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openLogFile } from '../../src/logFile.ts'
import { UserError } from '../../src/userError.ts'

/* The file of the log: opened again by its name, and never a reason to stop. */

function place() {
  const dir = mkdtempSync(join(tmpdir(), 'ocps-log-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const complaints: string[] = []
  return { dir, complaints, open: (path: string) => openLogFile(path, sentence => complaints.push(sentence)) }
}

/** Errors of a stream are told in a later turn. */
const turn = () => new Promise<void>(resolve => void setImmediate(resolve))

describe('log file', () => {
  test('is made with its directories, for its owner only, and gets every line at once', () => {
    const { dir, open } = place()
    const path = join(dir, 'a/b/ocps.log')
    open(path).stream.write('one\n')
    expect(readFileSync(path, 'utf8')).toBe('one\n')
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  test('keeps what it held', () => {
    const { dir, open } = place()
    open(join(dir, 'ocps.log')).stream.write('one\n')
    open(join(dir, 'ocps.log')).stream.write('two\n')
    expect(readFileSync(join(dir, 'ocps.log'), 'utf8')).toBe('one\ntwo\n')
  })

  test('moved away and opened again, the next line is in a file of the old name', () => {
    const { dir, open } = place()
    const path = join(dir, 'ocps.log')
    const log = open(path)
    log.stream.write('one\n')
    renameSync(path, `${path}.1`)
    log.stream.write('two\n')
    log.reopen()
    log.stream.write('three\n')
    expect(readFileSync(`${path}.1`, 'utf8')).toBe('one\ntwo\n')
    expect(readFileSync(path, 'utf8')).toBe('three\n')
  })

  test('that cannot be opened again is written on, and is opened again later', async () => {
    const { dir, open, complaints } = place()
    mkdirSync(join(dir, 'logs'))
    const path = join(dir, 'logs/ocps.log')
    const log = open(path)
    renameSync(path, join(dir, 'moved'))
    rmSync(join(dir, 'logs'), { recursive: true })
    // Something else has the name of its directory.
    openLogFile(join(dir, 'logs'), () => {})
    log.reopen()
    await turn()
    log.stream.write('one\n')
    expect(readFileSync(join(dir, 'moved'), 'utf8')).toBe('one\n')
    expect(complaints).toHaveLength(1)
    expect(complaints[0]).toContain('cannot be opened or written: EEXIST')
    rmSync(join(dir, 'logs'))
    log.reopen()
    log.stream.write('two\n')
    expect(readFileSync(path, 'utf8')).toBe('two\n')
  })

  test('on a full disk nothing is thrown and it is said once', async () => {
    if (!existsSync('/dev/full')) return
    const { open, complaints } = place()
    const log = open('/dev/full')
    for (let n = 0; n < 10; n++) log.stream.write(`line ${n}\n`)
    await turn()
    expect(complaints).toHaveLength(1)
    expect(complaints[0]).toContain('ENOSPC')
  })

  test('that cannot be opened at all is refused with a sentence', () => {
    const { dir, open } = place()
    expect(() => open(dir)).toThrow(UserError)
    expect(() => open(dir)).toThrow(`the log ${dir} cannot be opened`)
  })
})
