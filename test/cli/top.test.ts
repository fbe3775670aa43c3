import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { topFacts } from '../../src/cli/topFacts.ts'
import { topScreen } from '../../src/cli/topScreen.ts'
import { createNight as createShown } from '../../src/night/night.ts'
import type { Status } from '../../src/night/tail.ts'
import { cleanUpAfterAll } from '../cleanUp.ts'
import { aConfiguration, aPipeline } from '../harness.ts'
import { createNight, type Night } from '../night.ts'
import { needs } from '../needs.ts'
import { buildIfMissing, type Child, end, linesOf, nextLine, ocps, program, start } from './run.ts'

/*
 * `ocps top`: what it draws of a night in memory on a stepped clock, and how it behaves on a terminal, in a pipe, and
 * without an instance.
 */

const withScript = needs('script')

const plain = { paint: (_how: string, text: string) => text, hasBlocks: false }

function status(night: Night, changes: Partial<Status> = {}): Status {
  return { link: 'connected', problem: '', heartbeatAt: night.clock.now(), facts: null, ...changes }
}

function facts(night: Night, changes: Partial<Status> = {}) {
  const shown = createShown('LATISS')
  for (const entry of night.entries()) shown.apply(entry)
  return topFacts(shown, status(night, changes), night.clock.now())
}

function screen(night: Night, columns = 100, rows = 30, changes: Partial<Status> = {}): string[] {
  return topScreen(facts(night, changes), { columns, rows }, plain)
}

async function process(night: Night, obsid: string, more: object = {}): Promise<string> {
  const ack = await night.command('processData', { dataId: { obsid }, pipeline: 'quicklook', ...more })
  const [jobId] = ack?.jobIds ?? []
  if (jobId === undefined) throw new Error(`${obsid} was refused: ${ack?.result}`)
  return jobId
}

/** Two of two slots taken, one job waiting, two held, one failed, one succeeded, a group half full. */
async function busy(): Promise<Night> {
  const night = await createNight()
  await night.enable()
  const group = { id: 'tonight#1', expected: 4 }
  const one = await process(night, 'AT_O_20261122_000001', { group })
  await night.advance(2_000)
  await night.succeeds(one)
  const two = await process(night, 'AT_O_20261122_000002', { group })
  await night.started(two)
  await night.exited(two, { exitCode: 7, stderrTail: 'the dome is closed' })
  for (const obsid of ['AT_O_20261122_000003', 'AT_O_20261122_000004'])
    await night.started(await process(night, obsid, { group: 'tonight#1' }))
  const five = await process(night, 'AT_O_20261122_000005')
  await process(night, 'AT_O_20261122_000006', { after: [five] })
  await process(night, 'AT_O_20261122_000007', { readiness: { waitFor: 60 } })
  await night.advance(65_000)
  return night
}

describe('the screen of ocps top', () => {
  test('shows the night at a glance: state, queue and why jobs wait, what runs, groups filling, what failed', async () => {
    const night = await createNight()
    await night.enable()
    const group = { id: 'tonight#1', expected: 4 }
    await night.advance(1_000)
    const one = await process(night, 'AT_O_20261122_000001', { group })
    await night.advance(2_000)
    await night.succeeds(one)
    const two = await process(night, 'AT_O_20261122_000002', { group })
    await night.started(two)
    await night.exited(two, { exitCode: 7, stderrTail: 'the dome is closed' })
    const three = await process(night, 'AT_O_20261122_000003', { group: 'tonight#1' })
    await night.started(three)
    await night.report({ type: 'executor.progress', jobId: three, attempt: 1, fraction: 0.4, note: 'fitting' })
    const four = await process(night, 'AT_O_20261122_000004')
    const five = await process(night, 'AT_O_20261122_000005')
    const six = await process(night, 'AT_O_20261122_000006', { after: [five] })
    await night.advance(5_000)
    expect(screen(night)).toEqual([
      'OCPS LATISS  ENABLED  live  22:00:08 UTC',
      'active   summit, process 4711, OCPS 0.1.0, _init.yaml',
      'queue    flowing, async, fifo   slots #################### 2 of 2',
      'jobs     2 running, 1 waiting, 1 held (1 for other jobs)',
      `why      Job ${five} waits in the queue, place 1 of 1: 2 of 2 slots are taken by`,
      `           ${three}, ${four}.`,
      `         Job ${six} waits for job ${five} (queued, must succeed).`,
      'over     1 succeeded, 1 not, 1 on the shelf',
      'rate     2 in the last minute, 0.2 per minute over ten',
      'THE LAST 2 JOBS               p50         p90         p99         max',
      '  waited for a slot          0 ms      2.00 s      2.00 s      2.00 s',
      '  ran                      1.00 s      1.00 s      1.00 s      1.00 s',
      '  command to result          0 ms      2.00 s      2.00 s      2.00 s',
      '',
      'RUNNING   JOB              DATA                  PIPELINE   FOR  STOPPED IN  NOTE',
      `running   ${three}  AT_O_20261122_000003  quicklook  5 s  55 s        40 % fitting`,
      `starting  ${four}  AT_O_20261122_000004  quicklook  5 s  55 s        `,
      '',
      'GROUP  NAME       FILLING',
      'open   tonight#1  ##########=====.....  2 of 4 settled, 1 not successful',
      '',
      'FAILED  AT        WHAT                            WHY',
      'failed  22:00:03  AT_O_20261122_000002 quicklook  quicklook failed with exit code 7: the dome is cl…',
    ])
  })

  test('is never wider or higher than the terminal, whatever its size', async () => {
    const night = await busy()
    for (const [columns, rows] of [
      [100, 30],
      [79, 23],
      [40, 10],
      [20, 5],
      [8, 2],
      [1, 1],
    ] as const) {
      const lines = screen(night, columns, rows)
      expect(lines.length).toBeLessThanOrEqual(rows)
      for (const line of lines) expect(line.length, `${columns} columns: ${line}`).toBeLessThanOrEqual(columns)
    }
  })

  test('on a small screen shows some of each part and says how many more there are', async () => {
    const night = await createNight({ configuration: aConfiguration({ slots: 20 }) })
    await night.enable()
    for (let index = 10; index < 30; index++) await night.started(await process(night, `E${index}`, { group: 'g' }))
    const lines = screen(night, 100, 20)
    expect(lines.filter(line => line.startsWith('running'))).toHaveLength(8)
    expect(lines).toContain('and 12 more')
    expect(lines.at(-1)).toContain('0 of 20 settled')
  })

  test('tells jobs that were handed over before a slot is free from those that have one', async () => {
    const night = await createNight({ configuration: aConfiguration({ slots: 2, prefetch: 2 }) })
    await night.enable()
    const one = await process(night, 'E1')
    await night.started(one)
    for (const obsid of ['E2', 'E3', 'E4', 'E5']) await process(night, obsid)
    expect(facts(night).queue).toMatchObject({ slots: 2, slotsTaken: 2, running: 2, ahead: 2, waiting: 1 })
    const text = screen(night, 120).join('\n')
    expect(text).toContain('2 of 2')
    expect(text).toContain('2 running, 2 handed over, 1 waiting')
    await night.advance(3_600_000)
    // Nobody is stopped for a time it did not have.
    expect(
      facts(night)
        .running.filter(({ state }) => state === 'starting')
        .map(({ leftMs }) => leftMs),
    ).toEqual([null, null, null])
  })

  test('shows each pool where there is more than one', async () => {
    const pool = { name: 'heavy', slots: 1, runner: { kind: 'none' } } as const
    const pipelines = { quicklook: aPipeline('quicklook'), deep: aPipeline('deep', { pool }) }
    const pools = { heavy: pool }
    const night = await createNight({ configuration: aConfiguration({ slots: 2, pools, pipelines }) })
    await night.enable()
    await night.started(await process(night, 'E1'))
    await night.started(await process(night, 'E2', { pipeline: 'deep' }))
    await process(night, 'E3', { pipeline: 'deep' })
    expect(facts(night).queue).toMatchObject({
      slots: 3,
      slotsTaken: 2,
      waiting: 1,
      pools: [
        { pool: 'default', slots: 2, slotsTaken: 1, running: 1, waiting: 0 },
        { pool: 'heavy', slots: 1, slotsTaken: 1, running: 1, waiting: 1 },
      ],
    })
    const text = screen(night, 160).join('\n')
    expect(text).toContain('default: 1 of 2, 0 waiting')
    expect(text).toContain('heavy: 1 of 1, 1 waiting')
    expect(screen(await createNight(), 160).join('\n')).not.toContain('pools')
  })

  test('says for whom slots are kept free that are not enough for it', async () => {
    const pipelines = { quicklook: aPipeline('quicklook'), wide: aPipeline('wide', { slots: 2 }) }
    const night = await createNight({ configuration: aConfiguration({ slots: 2, pipelines }) })
    await night.enable()
    await night.started(await process(night, 'E1'))
    const wide = await process(night, 'E2', { pipeline: 'wide' })
    await process(night, 'E3')
    expect(facts(night).queue).toMatchObject({ slotsTaken: 1, reserved: { jobId: wide, needs: 2, free: 1 } })
    const text = screen(night, 160).join('\n')
    expect(text).toContain(` 1 of 2, 1 kept free for ${wide}, which needs 2`)
    expect(text).toContain(
      `Job ${wide} waits in the queue, place 1 of 2: it needs 2 slots; the one that is free is kept for it;`,
    )
  })

  test('says that the queue is paused, and that nothing starts while the instance is not enabled', async () => {
    const night = await createNight({ configuration: aConfiguration({ slots: 1 }) })
    await night.enable()
    await night.started(await process(night, 'E1'))
    await process(night, 'E2')
    await night.command('pause')
    expect(screen(night, 120).join('\n')).toMatch(/queue {4}paused.*\n.*\nwhy .*"ocps resume" lets it go on/)
    await night.command('disable')
    expect(screen(night, 120).join('\n')).toMatch(/DISABLED(.*\n)*why .*the instance is not ENABLED/)
  })

  test('says that OCPS is away, and that what is shown is old', async () => {
    const night = await createNight()
    await night.enable()
    const head = (changes: Partial<Status>) => screen(night, 100, 30, changes)[0]
    expect(head({ link: 'away', problem: 'the NATS server is away' })).toContain(
      'AWAY: the NATS server is away; what is shown is old',
    )
    expect(head({ heartbeatAt: null })).toContain('AWAY: no heartbeat: the process is not running')
    expect(head({ heartbeatAt: night.clock.now() - 7_000 })).toContain('AWAY: no heartbeat for 7 s')
    const nothing = topFacts(createShown('LATISS'), status(night), night.clock.now())
    expect(nothing).toMatchObject({ summaryState: 'UNKNOWN', process: null })
  })

  test('names a fault', async () => {
    const night = await createNight()
    await night.enable()
    night
      .engine()
      .input({ type: 'engine.fault', errorCode: 9, errorReport: 'the disk is full', traceback: '' }, 'engine')
    await night.settled()
    expect(screen(night).slice(0, 3).join('\n')).toMatch(/FAULT(.*\n)*error {4}9: the disk is full/)
  })

  test('shows what pipelines say as text: no terminal obeys it', async () => {
    const night = await createNight({
      configuration: aConfiguration({ pipelines: { quicklook: aPipeline('quicklook') } }),
    })
    await night.enable()
    const jobId = await process(night, 'E1')
    await night.started(jobId)
    const evil = '\u001b[2J\u001b]0;owned\u0007\nrm\u009b31m'
    await night.report({ type: 'executor.progress', jobId, attempt: 1, fraction: null, note: evil })
    const other = await process(night, 'E2')
    await night.started(other)
    await night.exited(other, { exitCode: 1, stderrTail: evil })
    const text = screen(night).join('\n')
    expect(text).toContain('·[2J·]0;owned·rm·31m')
    expect(text).not.toMatch(/(?!\n)\p{Cc}/u)
  })

  test('measures what it shows: nearest-rank percentiles of the newest jobs, and rates of the last minutes', async () => {
    const night = await createNight()
    await night.enable()
    for (let index = 1; index <= 10; index++) {
      const jobId = await process(night, `E${index}`)
      await night.started(jobId)
      await night.advance(index * 1_000)
      await night.exited(jobId)
    }
    const { latency, rate } = facts(night)
    expect(latency).toMatchObject({ jobs: 10, whole: { p50: 5_000, p90: 9_000, p99: 10_000, max: 10_000 } })
    expect(rate).toEqual({ lastMinute: 10, lastTenMinutes: 10 })
    await night.advance(60_000)
    expect(facts(night).rate).toEqual({ lastMinute: 0, lastTenMinutes: 10 })
  })
})

describe('ocps top', () => {
  let place: string
  let server: Child
  const cleanUp = cleanUpAfterAll()
  beforeAll(async () => {
    await buildIfMissing()
    place = mkdtempSync(join(tmpdir(), 'ocps-top-'))
    cleanUp(() => rmSync(place, { recursive: true, force: true }))
    server = start(['serve', '--state', 'enabled', '--json'], { cwd: place })
    cleanUp(() => end(server, 'SIGTERM'))
    await nextLine(linesOf(server))
  })

  test('prints once where there is no terminal, and so many times if asked to', async () => {
    const once = await ocps(['top'], { cwd: place })
    expect([once.code, once.stderr]).toEqual([0, ''])
    expect(once.stdout).toMatch(/^OCPS LATISS {2}ENABLED {2}live {2}/)
    expect(once.stdout).not.toContain('\u001b')
    const twice = await ocps(['top', '-n', '2', '-d', '0.1'], { cwd: place })
    expect(twice.stdout.match(/OCPS LATISS/g)).toHaveLength(2)
  })

  test('with --json prints documents and nothing else', async () => {
    const { stdout } = await ocps(['top', '--json', '-n', '2', '-d', '0.1'], { cwd: place })
    const documents = stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as object)
    expect(documents).toHaveLength(2)
    expect(documents[0]).toMatchObject({ instance: 'LATISS', summaryState: 'ENABLED', away: null })
  })

  test('says in a sentence that there is no such instance', async () => {
    const { code, stderr } = await ocps(['top', '--instance', 'NOBODY', '--url', 'nats://127.0.0.1:9'], { cwd: place })
    expect([code, stderr]).toEqual([4, expect.stringMatching(/^ocps: .*127\.0\.0\.1:9.*\n$/)])
    expect((await ocps(['top', '-n', '0'], { cwd: place })).code).toBe(2)
  })

  // util-linux gives a terminal to a test; elsewhere the rest stands.
  withScript('on a terminal takes the whole screen, until q gives it back', async () => {
    const command = `stty cols 90 rows 20; exec '${globalThis.process.execPath}' '${program}' top`
    const { PATH = '', HOME = '' } = globalThis.process.env
    const terminal = spawn('script', ['-qefc', command, '/dev/null'], {
      cwd: place,
      env: { PATH, HOME, TERM: 'xterm', LANG: 'C.UTF-8' },
    })
    let seen = ''
    const shown = new Promise<void>(resolve => {
      terminal.stdout.on('data', (chunk: Buffer) => {
        seen += chunk.toString()
        if (seen.includes('live') && seen.includes('q ends')) resolve()
      })
    })
    const ended = once(terminal, 'close') as Promise<[number | null]>
    await shown
    expect(seen).toContain('\u001b[?1049h')
    expect(seen).toContain('░░░░')
    terminal.stdin.write('q')
    expect((await ended)[0]).toBe(0)
    expect(seen.endsWith('\u001b[?7h\u001b[?25h\u001b[?1049l')).toBe(true)
  })
})
