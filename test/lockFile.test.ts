import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { identityOf } from '../src/processes.ts'
import { Locked, takeLockFile } from '../src/lockFile.ts'
import { rejection } from './bus/eventually.ts'

/* A lock with a living owner: who is dead, who is not, and who may take it from a living one. */
interface Facts {
  readonly of: string
}

function place(): string {
  const dir = mkdtempSync(join(tmpdir(), 'ocps-lock-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return join(dir, 'lock')
}

const take = async (path: string, of = 'a') => {
  const lock = await takeLockFile<Facts>(path, { of }, { isOurs: owner => owner.of === of && of !== 'a' })
  onTestFinished(() => lock.release())
  return lock
}

/** A process that has ended, and one that lives. */
async function process_(isAlive: boolean): Promise<{ owner: number; startTime: number }> {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' })
  await once(child, 'spawn')
  const owner = child.pid ?? 0
  const startTime = identityOf(owner)?.startTime ?? 0
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  onTestFinished(stop)
  if (!isAlive) await stop()
  return { owner, startTime }
}

const heldBy = (path: string, lock: object) => writeFileSync(path, JSON.stringify({ host: hostname(), ...lock }))

describe('a lock', () => {
  test('is refused while its owner lives, and names it', async () => {
    const path = place()
    const first = await take(path)
    const error = await rejection(take(path))
    expect(error).toBeInstanceOf(Locked)
    expect(error).toMatchObject({ by: { owner: process.pid, host: hostname(), of: 'a' } })
    await first.release()
    await take(path)
  })

  test('of another process is refused while that lives, also when it is stopped', async () => {
    const path = place()
    const other = await process_(true)
    process.kill(other.owner, 'SIGSTOP')
    heldBy(path, other)
    expect(await rejection(take(path))).toMatchObject({ by: other })
  })

  test('of a process that is gone is taken, though its pid is used again or the machine was started again', async () => {
    const other = await process_(true)
    const dead = await process_(false)
    for (const left of [dead, { ...other, startTime: other.startTime - 1 }, { ...other, bootId: 'an earlier one' }]) {
      const path = place()
      heldBy(path, left)
      await take(path)
      expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ owner: process.pid })
    }
  })

  test('that is half written is nobody\u2019s', async () => {
    const path = place()
    writeFileSync(path, '{"own')
    await take(path)
  })

  test('of a living one is taken by whoever it belongs to as well, and stays with the new one', async () => {
    const path = place()
    const before = await take(path, 'journal')
    await take(path, 'journal')
    const mine = readFileSync(path, 'utf8')
    await before.say({ of: 'the old one' })
    await before.release()
    expect(readFileSync(path, 'utf8')).toBe(mine)
  })

  test('of another machine is refused while that shows that it lives', async () => {
    const path = place()
    heldBy(path, { owner: 1, startTime: 1, host: 'another.example.org' })
    const alive = setInterval(() => utimesSync(path, new Date(), new Date()), 50)
    onTestFinished(() => clearInterval(alive))
    expect(await rejection(take(path))).toMatchObject({ by: { host: 'another.example.org' } })
    expect(readFileSync(path, 'utf8')).toContain('another.example.org')
  })

  test('of another machine that shows no life is taken', async () => {
    const path = place()
    heldBy(path, { owner: 1, startTime: 1, host: 'another.example.org' })
    await take(path)
  }, 30_000)

  test('goes to one of many who want it at once, and leaves nothing beside it', async () => {
    const path = place()
    heldBy(path, await process_(false))
    const all = await Promise.allSettled(Array.from({ length: 10 }, () => take(path)))
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(readdirSync(join(path, '..'))).toEqual(['lock'])
  })
})
