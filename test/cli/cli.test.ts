import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { writeConfiguration } from '../client/realService.ts'
import { cleanUpAfterAll } from '../cleanUp.ts'
import { buildIfMissing, type Child, end, linesOf, nextLine, ocps as run, start } from './run.ts'

let cwd: string
let served: Child
let ready: Record<string, unknown>
const ocps = (...args: string[]) => run(args, { cwd })
const json = async (...args: string[]) => {
  const { stdout, code } = await run([...args, '--json'], { cwd })
  return {
    code,
    documents: stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, unknown>),
  }
}

const cleanUp = cleanUpAfterAll()

beforeAll(async () => {
  await buildIfMissing()
  cwd = await mkdtemp(join(tmpdir(), 'ocps-cli-'))
  cleanUp(() => rm(cwd, { recursive: true, force: true, maxRetries: 5 }))
  await writeConfiguration(cwd, 'async')
  served = start(['serve', '--state', 'enabled', '--json'], { cwd })
  cleanUp(() => (served.exitCode === null ? end(served, 'SIGTERM') : null))
  ready = JSON.parse(await nextLine(linesOf(served))) as Record<string, unknown>
}, 60_000)

describe('serve', () => {
  test('says where it is and leaves a note that the other verbs find, also from a directory below', async () => {
    expect(ready).toMatchObject({ instance: 'LATISS', state: 'ENABLED', problem: null, pid: served.pid })
    await mkdir(join(cwd, 'below'), { recursive: true })
    expect((await run(['status'], { cwd: join(cwd, 'below') })).code).toBe(0)
  })

  test('cannot be started in FAULT, by name or as 99', async () => {
    for (const state of ['fault', 'FAULT', '99']) {
      const { code, stderr } = await ocps('serve', '--state', state)
      expect([code, stderr.includes('to start in') || stderr.includes('cannot be started in FAULT')]).toEqual([2, true])
    }
  })

  test('a second instance of the name is refused, and told who holds it', async () => {
    const { code, stderr } = await ocps('serve', '--url', String(ready['natsUrl']), '--data', join(cwd, 'other'))
    expect(stderr).toContain('an instance named LATISS is running already')
    expect(stderr).toContain(`process ${served.pid} on`)
    expect(stderr).not.toContain('    at ')
    expect(code).toBe(2)
  })

  test('an instance under another name on the same server starts in STANDBY, ends with exit, and takes its note away', async () => {
    const other = start(
      ['serve', '-i', 'OTHER', '--url', String(ready['natsUrl']), '--data', join(cwd, 'other'), '--json'],
      { cwd },
    )
    const ended = once(other, 'close')
    expect(JSON.parse(await nextLine(linesOf(other)))).toMatchObject({ state: 'STANDBY' })
    const { code, stdout } = await ocps('exit', '-i', 'OTHER')
    expect([code, stdout]).toEqual([0, 'OTHER is OFFLINE\n'])
    expect((await ended)[0]).toBe(0)
    expect(existsSync(join(cwd, '.ocps', 'OTHER.json'))).toBe(false)
  })
})

describe('process', () => {
  test('prints job ids, so that a script can take them', async () => {
    const { code, stdout } = await ocps('process', 'AT_O_20261122_000017', '-p', 'detector', '-d', '0,3..4')
    expect(code).toBe(0)
    expect(stdout.trimEnd().split('\n')).toHaveLength(3)
    expect(stdout).toMatch(/^(\d{8}-\d{6}-\d\n){3}$/)
  })

  test('with --wait prints metrics with their units and how it ended', async () => {
    const { code, stdout } = await ocps('process', 'AT_O_20261122_000017', '-p', 'look', '--wait')
    expect(code).toBe(0)
    expect(stdout).toContain('psf.fwhm 1.25 arcsec\n')
    expect(stdout).toContain('background NaN adu\n')
    expect(stdout).toMatch(/AT_O_20261122_000017 succeeded: .*; verdict: poor seeing\n$/)
  })

  test('with --wait and --json prints one document per line, and with --follow progress too', async () => {
    const { code, documents } = await json('process', 'AT_O_20261122_000017', '-p', 'look', '--follow')
    expect(code).toBe(0)
    const types = documents.map(({ type }) => type)
    expect(types.at(0)).toBe('accepted')
    expect(types).toContain('metric')
    expect(types).toContain('progress')
    expect(types.at(-1)).toBe('result')
  })

  test('exits 1 if the job does not succeed', async () => {
    const { code, stdout } = await ocps('process', 'AT_O_20261122_000019', '-p', 'fail', '--wait')
    expect([code, stdout.includes('failed')]).toEqual([1, true])
  })

  test('exits 3 with a sentence and no stack if it is refused, with --json with the code', async () => {
    const { code, stdout, stderr } = await ocps('process', 'AT_O_20261122_000019', '-p', 'nosuch')
    expect([code, stdout]).toEqual([3, ''])
    expect(stderr).toMatch(/^ocps: processData was refused \(UNKNOWN_PIPELINE\): .*\n$/)
    const refused = await json('process', 'AT_O_20261122_000019', '-p', 'look', '--override', 'threshold=wrong')
    expect(refused).toMatchObject({ code: 3, documents: [{ error: { code: 'OVERRIDE_NOT_ALLOWED' } }] })
  })

  test('exits 5 if --timeout passes, and the job goes on until it is aborted', async () => {
    const { code, stdout, stderr } = await ocps(
      'process',
      'AT_O_20261122_000020',
      '-p',
      'wait',
      '--wait',
      '--timeout',
      '0.2',
    )
    expect([code, stderr.includes('did not end within 0.2 s')]).toEqual([5, true])
    const id = stdout.split(' ')[0] ?? ''
    const { documents } = await json('jobs')
    expect(documents[0]).toMatchObject({ open: 1, jobs: [{ jobId: id }] })
    expect((await ocps('abort', id)).code).toBe(0)
    expect((await ocps('abort', '20261122-999999')).code).toBe(3)
  })

  test('the same --id twice is one job', async () => {
    const once = await ocps('process', 'AT_O_20261122_000021', '-p', 'look', '--id', 'night-1')
    expect((await ocps('process', 'AT_O_20261122_000021', '-p', 'look', '--id', 'night-1')).stdout).toBe(once.stdout)
  })

  test('a mistake in the command line exits 2 with one sentence, with --json as a document', async () => {
    for (const args of [
      ['process', 'AT_O_20261122_000019'],
      ['process', 'A', '-p', 'look', '-d', '9..1'],
      ['process', 'A', '-p', 'look', '--override', 'threshold'],
      ['process', 'A', '-p', 'look', '--time-limit', 'soon'],
      ['process', 'A', '-p', 'look', '--wait-for-data', '5', '--skip-unless-ingested'],
      ['process', 'A', 'A', '-p', 'look'],
      ['nosuch'],
    ]) {
      const { code, stderr } = await ocps(...args)
      expect([args, code, stderr.split('\n').length]).toEqual([args, 2, 2])
    }
    expect(await json('process', 'A')).toMatchObject({ code: 2, documents: [{ error: { code: 'USAGE' } }] })
  })
})

describe('what is there', () => {
  test('job shows metrics with units, datasets with absolute paths, and the outcome', async () => {
    const id = (await ocps('process', 'AT_O_20261122_000022', '-p', 'look', '--wait')).stdout.split(' ')[0] ?? ''
    const { code, stdout } = await ocps('job', id)
    expect(code).toBe(0)
    expect(stdout).toMatch(/psf\.fwhm +1\.25 +arcsec/)
    expect(stdout).toContain(join(cwd, '.ocps', 'work', id, 'preview.png'))
    expect(stdout).toMatch(/outcome +succeeded: look succeeded/)
    expect(stdout).toMatch(/asked by +\S+, message \S+/)
    expect((await json('job', id)).documents[0]).toMatchObject({ jobId: id, state: 'settled' })
    const unknown = await ocps('job', '20261122-999999')
    expect([unknown.code, unknown.stderr]).toEqual([2, 'ocps: no job 20261122-999999 is known here\n'])
  })

  test('ended jobs are listed by what they are, as a table, as CSV and as JSON a line each', async () => {
    await ocps('process', 'AT_O_20261122_000031', '-p', 'fail', '--wait')
    const table = await ocps('jobs', '--all', '--obsid', 'AT_O_20261122_000031')
    expect(table.stdout).toMatch(/ fail +AT_O_20261122_000031 .* ran .* failed/)
    const csv = await ocps('jobs', '--all', '--outcome', 'failed', '--csv', '--limit', '1')
    const [header = '', row = ''] = csv.stdout.split('\r\n')
    expect(header).toMatch(/^jobId,outcome,code,/)
    expect(row).toMatch(/,failed,EXIT_CODE,fail,AT_O_20261122_000031,/)
    const { documents } = await json('jobs', '--all', '--obsid', 'AT_O_20261122_000031')
    expect(documents).toMatchObject([{ outcome: { kind: 'failed', exitCode: 3 } }])
    expect((await ocps('jobs', '--all', '--outcome', 'perfect')).code).toBe(2)
    expect((await ocps('jobs', '--all', '--since', 'yesterday')).stderr).toContain('A time is written like')
  })

  test('an exposure is shown with every job over it and its metrics', async () => {
    await ocps('process', 'AT_O_20261122_000032', '-p', 'look', '--wait')
    const { code, stdout } = await ocps('exposure', 'AT_O_20261122_000032')
    expect(code).toBe(0)
    expect(stdout).toContain('  psf.fwhm 1.25 arcsec\n')
    expect(stdout).toContain('  verdict: poor seeing\n')
    expect(await ocps('exposure', 'AT_O_20261122_999999')).toMatchObject({
      code: 1,
      stdout: 'no job over AT_O_20261122_999999 is known\n',
    })
  })

  test('what a job wrote is shown, followed to its end', async () => {
    const { stdout: jobId } = await ocps('process', 'AT_O_20261122_000033', '-p', 'fail')
    expect((await ocps('logs', jobId.trim(), '--stderr', '--follow')).stdout).toBe('no such star\n')
    expect((await ocps('logs', jobId.trim())).stdout).toBe('')
    expect(await ocps('logs', '20261122-999999')).toMatchObject({
      stderr: expect.stringContaining('no job 20261122-999999 is known'),
    })
  })

  test('a group is combined and shown', async () => {
    const group = '2026-11-22T22:59:05.721#1'
    await ocps('process', 'AT_O_20261122_000030', 'AT_O_20261122_000031', '-p', 'look', '-g', group)
    const closed = await ocps('close-group', group, '-p', 'combine', '--wait')
    expect([closed.code, closed.stdout.includes('depth 24.5 mag')]).toEqual([0, true])
    const { code, stdout } = await ocps('group', group)
    expect([code, stdout.includes('AT_O_20261122_000031  look')]).toEqual([0, true])
    expect((await json('group', group)).documents[0]).toMatchObject({ group, result: { outcome: 'complete' } })
    expect((await ocps('close-group', 'nosuch')).code).toBe(3)
  })

  test('status is a page, and a document with --json', async () => {
    const { code, stdout } = await ocps('status')
    expect(code).toBe(0)
    for (const word of ['LATISS  ENABLED', 'error', 'flowing, async', 'durability', String(ready['natsUrl'])])
      expect(stdout).toContain(word)
    expect(stdout).not.toContain('\u001b')
    expect((await json('status')).documents[0]).toMatchObject({ summaryState: 'ENABLED', queue: { slots: 4 } })
  })

  test('watch prints events as they come until Ctrl-C, and ends quietly when nobody reads on', async () => {
    const watching = start(['watch', '--topic', 'heartbeat', '--json'], { cwd })
    expect(JSON.parse(await nextLine(linesOf(watching)))).toMatchObject({
      topic: 'heartbeat',
      body: { heartbeat: true },
    })
    expect(await end(watching, 'SIGINT')).toBe(0)
    const piped = start(['watch', '--topic', 'heartbeat'], { cwd })
    let complaints = ''
    piped.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()))
    const ended = once(piped, 'close')
    await nextLine(linesOf(piped))
    piped.stdout.destroy()
    expect([(await ended)[0], complaints]).toEqual([0, ''])
  })

  test('nobody of that name, and no server, exit 4 with what to do', async () => {
    const nobody = await ocps('status', '-i', 'NOBODY', '--url', String(ready['natsUrl']))
    expect([nobody.code, nobody.stderr.includes('no instance named NOBODY answers')]).toEqual([4, true])
    const unknown = await ocps('status', '-i', 'NOBODY')
    expect([unknown.code, unknown.stderr.includes('ocps serve --instance NOBODY')]).toEqual([4, true])
    const away = await run(['status'], { cwd, env: { NATS_URL: 'nats://127.0.0.1:1' } })
    expect([away.code, away.stderr.includes('No NATS server answers at nats://127.0.0.1:1')]).toEqual([4, true])
  })
})

describe('the lifecycle', () => {
  test('pause, resume and log-level', async () => {
    expect((await json('pause')).documents[0]).toMatchObject({ queue: 'paused', ack: { ack: 303 } })
    expect((await ocps('status')).stdout).toContain('paused, async')
    expect((await ocps('resume')).code).toBe(0)
    expect((await ocps('log-level', 'debug')).stdout).toBe('the log level is 10\n')
    expect((await ocps('log-level', 'loud')).code).toBe(2)
  })

  test('disable, standby, start with an override, enable; and a command out of order is refused', async () => {
    expect((await ocps('disable')).stdout).toBe('LATISS is DISABLED\n')
    expect((await ocps('standby')).stdout).toBe('LATISS is STANDBY\n')
    expect((await ocps('enable')).code).toBe(3)
    expect((await ocps('start', '--override', 'nosuch.yaml')).stderr).toContain('CONFIGURATION_INVALID')
    expect((await json('start', '--override', 'night.yaml')).documents[0]).toMatchObject({ summaryState: 'DISABLED' })
    expect((await ocps('enable')).stdout).toBe('LATISS is ENABLED\n')
    expect((await json('status')).documents[0]).toMatchObject({ queue: { slots: 3 } })
  })
})

describe('without an instance', () => {
  test('config check prints what would be applied, or the one sentence', async () => {
    expect((await json('config', 'check', 'night.yaml')).documents[0]).toMatchObject({ configuration: { slots: 3 } })
    await writeFile(join(cwd, 'config', 'bad.yaml'), 'slots: many\n')
    const bad = await ocps('config', 'check', 'bad.yaml')
    await rm(join(cwd, 'config', 'bad.yaml'))
    expect([bad.code, bad.stdout]).toEqual([2, ''])
    expect(bad.stderr).toMatch(/^ocps: bad\.yaml: slots: .*\n$/)
  })

  test('config schema prints JSON Schema of the files and of every command', async () => {
    for (const name of ['configuration', 'pipeline', 'processData', 'closeGroup', 'enable']) {
      const { code, stdout } = await ocps('config', 'schema', name)
      expect([code, JSON.parse(stdout)]).toMatchObject([0, { type: 'object' }])
    }
    expect((await ocps('config', 'schema', 'nosuch')).code).toBe(2)
  })

  test('server says which nats-server would be used', async () => {
    expect((await json('server')).documents[0]).toMatchObject({ path: expect.stringContaining('nats-server') })
  })

  test('every verb has examples in its help, and the exit codes are listed', async () => {
    const { stdout } = await ocps('--help')
    expect(stdout).toContain('Exit codes:')
    const verbs = [...stdout.matchAll(/^ {2}([a-z-]+) .*$/gm)].map(([, verb = '']) => verb)
    const own =
      'serve start enable disable standby exit process close-group abort pause resume log-level status jobs job group watch server'
    expect(verbs).toEqual(expect.arrayContaining(own.split(' ')))
    const helps = [...own.split(' ').map(verb => [verb]), ['config', 'check'], ['config', 'schema']]
    for (const words of helps) {
      const { code, stdout: help } = await ocps(...words, '--help')
      expect([words, code, help.includes('Examples:\n  '), help.includes('--json')]).toEqual([words, 0, true, true])
    }
  })
})

test('serve ends with exit code 0 on SIGTERM, and nobody answers any more', async () => {
  expect(await end(served, 'SIGTERM')).toBe(0)
  expect(existsSync(join(cwd, '.ocps', 'LATISS.json'))).toBe(false)
  expect((await ocps('status')).code).toBe(4)
})
