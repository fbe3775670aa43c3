import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { eventually } from '../bus/eventually.ts'
import { writeConfiguration } from '../client/realService.ts'
import { withNotedToken } from '../../src/client/urlFile.ts'
import { connectWire } from '../conformance/wire.ts'
import { buildIfMissing, end, linesOf, nextLine, ocps, start } from './run.ts'

/* The log of a running instance: what an operator looks for in it is there, once, and the same as an event. */

beforeAll(buildIfMissing, 60_000)

interface Line {
  readonly level: number
  readonly msg: string
}

function linesIn(path: string): Line[] {
  return readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Line)
}

async function served() {
  const cwd = mkdtempSync(join(tmpdir(), 'ocps-log-'))
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true, maxRetries: 5 }))
  await writeConfiguration(cwd, 'async')
  const path = join(cwd, 'logs/ocps.log')
  const child = start(['serve', '--state', 'enabled', '--log', path, '--json'], { cwd })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) await end(child, 'SIGKILL')
  })
  const ready = JSON.parse(await nextLine(linesOf(child))) as { natsUrl: string }
  const wire = await connectWire(withNotedToken(ready.natsUrl, cwd), 'LATISS')
  onTestFinished(() => wire.close())
  /** How often a sentence is in the log, and among the events, with which levels. */
  const told = (sentence: string, ...paths: string[]) => ({
    log: (paths.length > 0 ? paths : [path])
      .flatMap(linesIn)
      .filter(({ msg }) => msg.includes(sentence))
      .map(({ level }) => level),
    events: wire
      .events('logMessage')
      .filter(({ message }) => String(message).includes(sentence))
      .map(({ level }) => level),
  })
  return { cwd, path, child, wire, told, stderr: () => stderr }
}

test('a failed job, a change of state, a launcher that dies and SIGTERM are one line and one logMessage each', async () => {
  const { cwd, path, child, told, stderr, wire } = await served()
  expect(statSync(path).mode & 0o777).toBe(0o600)

  const failed = await ocps(['process', 'AT_O_20261122_000017', '--pipeline', 'fail', '--wait'], { cwd })
  expect(failed.code).not.toBe(0)
  await eventually('the event of the failure', () => told('no such star').events.length > 0)
  expect(told('no such star')).toEqual({ log: [40], events: [30] })

  await ocps(['disable'], { cwd })
  await eventually('the event of the change', () => told('from ENABLED to DISABLED').events.length > 0)
  expect(told('from ENABLED to DISABLED')).toEqual({ log: [30], events: [20] })

  const ledgers = join(cwd, '.ocps/work/.ledger')
  const [launcher] = readdirSync(ledgers).map(name => Number(name.split('-')[1]))
  if (launcher === undefined) throw new Error(`no launcher has written to ${ledgers}`)
  process.kill(launcher, 'SIGKILL')
  await eventually('the event of the death', () => told('the launcher died').events.length > 0)
  expect(told('the launcher died')).toEqual({ log: [50], events: [40] })

  expect(await end(child, 'SIGTERM')).toBe(0)
  await eventually('the event of the end', () => told('stops: SIGTERM').events.length > 0)
  expect(told('stops: SIGTERM')).toEqual({ log: [30], events: [20] })
  expect(wire.events('logMessage').every(({ name }) => name === 'LATISS')).toBe(true)
  expect(stderr()).toBe('')
}, 60_000)

test('on SIGHUP the log is opened again by its name, and nothing of it is lost', async () => {
  const { cwd, path, child, told } = await served()
  renameSync(path, `${path}.1`)
  await ocps(['disable'], { cwd })
  child.kill('SIGHUP')
  await eventually('the log is there again', () => existsSync(path))
  await ocps(['enable'], { cwd })
  expect(await end(child, 'SIGTERM')).toBe(0)
  expect(told('from ENABLED to DISABLED', `${path}.1`).log).toEqual([30])
  expect(told('from DISABLED to ENABLED', path).log).toEqual([30])
  expect(told('stops: SIGTERM', `${path}.1`, path).log).toEqual([30])
}, 60_000)

test('a log that cannot be opened is a sentence, before anything is started', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'ocps-log-'))
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }))
  const { code, stderr } = await ocps(['serve', '--log', cwd], { cwd })
  expect(stderr).toContain(`the log ${cwd} cannot be opened`)
  expect(code).toBe(2)
  expect(existsSync(join(cwd, '.ocps'))).toBe(false)
}, 60_000)
