import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createMemoryNetwork } from '../../src/bus/memory.ts'
import { lockWorkDirectory } from '../../src/instance/workDirectory.ts'
import { rejection } from '../bus/eventually.ts'

/* Whose a work directory is: that of a journal, not of a process. */

function place() {
  const root = mkdtempSync(join(tmpdir(), 'ocps-workdir-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  const workDir = join(root, 'made/when/needed')
  return {
    workDir,
    lock: join(workDir, '.lock'),
    /** An instance whose journal was made then. */
    enter: async (instance: string, created: string) => {
      const bus = createMemoryNetwork().connect('test')
      bus.subscribe(`$JS.API.STREAM.INFO.OCPS_${instance}_JOURNAL`, ({ reply }) => {
        if (reply !== null) bus.publish(reply, JSON.stringify({ created }))
      })
      const leave = await lockWorkDirectory({ bus, instance, workDir })
      onTestFinished(leave)
      return leave
    },
  }
}

test('another instance is refused with a sentence that says who is there and what to do', async () => {
  const { workDir, enter } = place()
  await enter('LATISS', 'monday')
  const { message } = (await rejection(enter('LSSTCam', 'monday'))) as Error
  expect(message).toContain(`the work directory ${workDir} is in use by process ${process.pid}`)
  expect(message).toContain('which runs LATISS')
  expect(message).toContain('give this one another --data')
})

test('an instance of the same name with another journal is another instance', async () => {
  const { enter } = place()
  await enter('LATISS', 'monday')
  expect(await rejection(enter('LATISS', 'tuesday'))).toBeInstanceOf(Error)
})

test('whoever has taken over the journal takes the directory, and the one before does not take it away', async () => {
  const { enter, lock } = place()
  const before = await enter('LATISS', 'monday')
  await enter('LATISS', 'monday')
  const now = readFileSync(lock, 'utf8')
  await before()
  expect(readFileSync(lock, 'utf8')).toBe(now)
})

test('once it is left, anybody has it', async () => {
  const { enter, lock } = place()
  const leave = await enter('LATISS', 'monday')
  await leave()
  expect(existsSync(lock)).toBe(false)
  await enter('LSSTCam', 'tuesday')
})
