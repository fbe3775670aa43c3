import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startService } from '../../src/instance/start.ts'
import { makePlace, optionsFor, startInstance, type Running } from '../conformance/instance.ts'
import { connectWire, must, type Fields } from '../conformance/wire.ts'

/*
 * What a pipeline may do wrong: reports that are no reports, programs that are none, floods and full disks. Each job
 * settles with a true outcome and a sentence, and after each a good job still succeeds.
 */
let running: Running
let exposure = 0

beforeAll(async () => {
  const grouped = { description: 'writes many datasets', scope: 'exposure', timeLimit: 60 }
  const many =
    'i=0; p=$(printf "./%.0s" $(seq 500)); touch f; while [ $i -lt 1000 ]; do echo "{\\"dataset\\":\\"d$i\\",\\"path\\":\\"$p/f\\"}"; i=$((i+1)); done >&3'
  const hostile = (script: string) => ({ ...grouped, command: ['/bin/sh', '-c', script] })
  const fifo = 'rm -f FILE; mkfifo FILE;'
  running = await startInstance(
    {},
    {
      fifoErr: hostile(`echo x >&2; sleep 0.1; ${fifo.replaceAll('FILE', 'stderr.log')} exit 3`),
      fifoOut: hostile(`${fifo.replaceAll('FILE', 'stdout.log')} echo hello; exit 3`),
      sparse: hostile('truncate -s 1T reports.ndjson; exit 3'),
      moved: hostile('cd ..; mv "$OCPS_JOB_ID" "$OCPS_JOB_ID.x"; ln -s /etc "$OCPS_JOB_ID"; echo x >&2; exit 3'),
      kills: hostile('kill -KILL $PPID; exit 0'),
      escapes: hostile(String.raw`printf '\033]0;title\007\033[2Jthe \033[31mdome\033[0m is closed\n' >&2; exit 3`),
      many: { ...grouped, command: ['/bin/sh', '-c', many] },
    },
  )
})
afterAll(() => running.stop())
afterEach(async () => {
  expect(outcome(await run('true'))).toMatchObject({ kind: 'succeeded' })
})

const outcome = (result: Fields) => result['outcome'] as Fields

/** Runs a pipeline to its end; its result as said on the wire. */
async function run(pipeline: string, overrides: object = {}): Promise<Fields> {
  const ack = await running.wire.command('processData', { dataId: { obsid: `E_${++exposure}` }, pipeline, overrides })
  expect(ack).toMatchObject({ ack: 303 })
  return await running.wire.result(ack.jobIds[0])
}

/** What a pipeline that writes these bytes as its reports ends with, and the reasons of the reports that were bad. */
async function report(content: string | Uint8Array): Promise<{ result: Fields; bad: string[] }> {
  const result = await run('report', { file: running.place.file(content) })
  // Telemetry travels by another connection than events.
  const closing = await run('report', { file: running.place.file('{"note":"last"}\n') })
  const last = `ocps.LATISS.tel.progress.${String(closing['jobId'])}`
  await running.wire.quiet()
  await expect.poll(() => running.wire.heard.some(({ subject }) => subject === last), { timeout: 5_000 }).toBe(true)
  const bad = running.wire.heard
    .filter(({ subject }) => subject === `ocps.LATISS.tel.badReport.${String(result['jobId'])}`)
    .map(({ body }) => String(body['reason']))
  return { result, bad }
}

describe('reports', () => {
  it('NaN, the infinities, null and 0 stay apart up to the result on the wire', async () => {
    const values = ['NaN', 'Infinity', '-Infinity', 'null', '0', '-0.0', '1e999', '"NaN"']
    const lines = values.map((value, index) => `{"metric":"m${index}","value":${value},"unit":"adu"}\n`)
    const { result, bad } = await report(lines.join(''))
    expect((result['metrics'] as Fields[]).map(({ value }) => value)).toEqual([
      'NaN',
      'Infinity',
      '-Infinity',
      null,
      0,
      0,
      'Infinity',
      'NaN',
    ])
    expect(bad).toEqual([])
  })

  it('a line of 10 MB is passed over with a note, and the lines around it count', async () => {
    const long = `{"metric":"long","value":1,"unit":"${'x'.repeat(10_000_000)}"}`
    const { result, bad } = await report(`{"metric":"before","value":1}\n${long}\n{"metric":"after","value":2}\n`)
    expect(outcome(result)).toMatchObject({ kind: 'succeeded' })
    expect((result['metrics'] as Fields[]).map(({ metric }) => metric)).toEqual(['before', 'after'])
    expect(bad).toEqual([expect.stringMatching(/a line of \d+ bytes; at most 65536/)])
  })

  it.each([
    ['a key __proto__', '{"metric":"m","value":1,"__proto__":{"unit":"x"}}', /__proto__/],
    ['a key constructor', '{"metric":"m","value":1,"constructor":1}', /constructor/],
    ['a value that is an object', '{"metric":"m","value":{"toString":1}}', /value must be a number/],
    ['a metric without a value', '{"metric":"m"}', /no value/],
    ['a metric whose name is a control character', '{"metric":"\\u0007","value":1}', /printable/],
    ['a name that turns the direction of writing round', '{"metric":"\\u202Eabc","value":1}', /printable/],
    ['no JSON', 'Traceback (most recent call last):', /not JSON/],
    ['a torn line', '{"metric":"m","val', /not JSON/],
    ['invalid UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), /UTF-8/],
    ['NUL bytes', Buffer.alloc(100), /not JSON/],
    ['a dataset that leads out of the directory', '{"dataset":"d","path":"../../etc/passwd"}', /relative/],
    ['a dataset with an absolute path', '{"dataset":"d","path":"/etc/passwd"}', /relative/],
    ['a dataset that is not there', '{"dataset":"d","path":"nowhere.png"}', /cannot be found/],
    ['progress of 300 %', '{"progress":3}', /from 0 to 1/],
  ])('%s is a note and neither a metric nor a failure', async (_, line, sentence) => {
    const { result, bad } = await report(line)
    expect(outcome(result)).toMatchObject({ kind: 'succeeded' })
    expect(result).toMatchObject({ metrics: [], datasets: [], verdict: null })
    expect(bad).toEqual([expect.stringMatching(sentence)])
  })

  it('a metric called __proto__ is a metric like any other', async () => {
    const { result } = await report('{"metric":"__proto__","value":1}\n{"metric":"constructor","value":2}\n')
    expect(result['metrics']).toEqual([
      { metric: '__proto__', value: 1, unit: '' },
      { metric: 'constructor', value: 2, unit: '' },
    ])
  })

  it('20 000 reports of one job are heard up to a bound, and its result is said', async () => {
    const lines = Array.from({ length: 20_000 }, (_, index) => `{"metric":"m${index % 3_000}","value":${index}}\n`)
    const { result, bad } = await report(lines.join(''))
    expect(outcome(result)).toMatchObject({ kind: 'succeeded' })
    expect((result['metrics'] as Fields[]).length).toBe(1_000)
    expect(bad).toEqual([expect.stringMatching(/too many reports/)])
  })

  it('a thousand datasets with paths of a thousand characters: the result is said though it is larger than a message', async () => {
    const result = await run('many')
    expect(outcome(result)).toMatchObject({ kind: 'succeeded' })
    expect(result['cut']).toEqual({ datasets: 1_000 })
    expect((result['datasets'] as Fields[]).length).toBeGreaterThan(200)
    expect(await running.wire.query('job', { jobId: result['jobId'] })).toMatchObject({ state: 'settled' })
  })
})

describe('programs', () => {
  it('a program that does not exist fails the job and names it', async () => {
    expect(outcome(await run('missing'))).toMatchObject({
      kind: 'failed',
      code: 'PROGRAM_NOT_FOUND',
      message: expect.stringContaining('/nonexistent/program') as unknown,
      exitCode: null,
    })
  })

  it('a program that is a directory fails the job and says so', async () => {
    expect(outcome(await run('directory'))).toMatchObject({
      kind: 'failed',
      code: 'NOT_EXECUTABLE',
      message: expect.stringContaining('/tmp') as unknown,
    })
  })

  it.each([
    ['a file that may not be executed', 'NOT_EXECUTABLE', '#!/bin/sh\n', 0o644],
    ['a script whose interpreter does not exist', 'PROGRAM_NOT_FOUND', '#!/nonexistent/python\n', 0o755],
    ['a file that is no program', 'NOT_EXECUTABLE', '\x7fELF, or so it says', 0o755],
  ])('%s fails the job with %s', async (_, code, content, mode) => {
    const place = makePlace()
    const program = place.file(content, mode)
    const other = makePlace({ program: { description: 'broken', scope: 'exposure', command: [program], timeLimit: 5 } })
    const instance = `BAD_${code}_${mode}`
    const service = await startService(optionsFor(other, { instance, natsUrl: running.service.natsUrl }))
    const wire = await connectWire(service.natsUrl, instance)
    const ack = await wire.command('processData', { dataId: { obsid: 'E' }, pipeline: 'program' })
    expect(outcome(await wire.result(ack.jobIds[0]))).toMatchObject({
      kind: 'failed',
      code,
      message: expect.stringContaining(program) as unknown,
    })
    await wire.close()
    await service.stop()
    place.remove()
    other.remove()
  })

  it('a flood on stdout is cut in the file, counted in full, and holds up nobody', async () => {
    const result = await run('flood')
    expect(outcome(result)).toMatchObject({ kind: 'succeeded', usage: { stdoutBytes: 60_000_000 } })
    const directory = join(running.service.workDir, String(result['jobId']))
    expect(statSync(join(directory, 'stdout.log')).size).toBeLessThan(10_000)
  })
})

describe('a job that turns against the house', () => {
  it.each([
    ['puts a FIFO in the place of its stderr.log', 'fifoErr'],
    ['puts a FIFO in the place of its stdout.log', 'fifoOut'],
    ['makes its reports a sparse file of a terabyte', 'sparse'],
    ['puts a link to /etc in the place of its directory', 'moved'],
  ])('%s fails as it ended, and the next one runs', async (_, pipeline) => {
    expect(outcome(await run(pipeline))).toMatchObject({ kind: 'failed', exitCode: 3 })
  })

  it('writes escape sequences as its last words, and they are plain text on the wire', async () => {
    const result = await run('escapes')
    expect(outcome(result)['message']).toContain('the dome is closed')
    expect(JSON.stringify(result)).not.toMatch(/u001b|u0007/)
  })

  it('kills its launcher: it is lost, the third time its pipeline is refused, and the CSC stays ENABLED', async () => {
    for (let n = 0; n < 3; n += 1) {
      expect(outcome(await run('kills'))).toMatchObject({ kind: 'lost' })
      expect(outcome(await run('true'))).toMatchObject({ kind: 'succeeded' })
    }
    expect(outcome(await run('kills'))).toMatchObject({
      kind: 'failed',
      code: 'START_FAILED',
      message: expect.stringContaining('Pipeline kills: 3 launchers in a row') as unknown,
    })
    expect(await running.wire.query('state', {})).toMatchObject({ summaryState: 'ENABLED' })
  })
})

describe('a full disk', () => {
  it('under the work directory fails jobs with WORK_DIR_FULL, and they run again when there is space', async context => {
    const place = makePlace()
    const small = join(place.dir, 'small')
    const mounted = tryMount(small)
    context.onTestFinished(() => {
      if (mounted) execFileSync('/bin/umount', ['-l', small])
      place.remove()
    })
    if (!mounted) return context.skip('mounting a small disk needs root')
    const options = optionsFor(place, { instance: 'FULL', natsUrl: running.service.natsUrl, dataDir: small })
    const service = await startService(options)
    const wire = await connectWire(service.natsUrl, 'FULL')
    const one = async () => {
      const ack = await wire.command('processData', { dataId: { obsid: 'E' }, pipeline: 'true' })
      return outcome(await wire.result(must(ack.jobIds[0])))
    }
    expect(await one()).toMatchObject({ kind: 'succeeded' })
    // Directories and empty files take no bytes on such a disk: what runs out are the inodes.
    const filler = join(small, 'filler')
    mkdirSync(filler)
    expect(() => {
      for (let index = 0; index <= INODES; index += 1) writeFileSync(join(filler, String(index)), '')
    }).toThrow(/ENOSPC/)
    const failed = await one()
    expect(failed).toMatchObject({ kind: 'failed', code: 'WORK_DIR_FULL' })
    expect(failed['message']).toContain(small)
    rmSync(filler, { recursive: true })
    expect(await one()).toMatchObject({ kind: 'succeeded' })
    await wire.close()
    await service.stop()
  })
})

/** A job takes about ten. */
const INODES = 500

function tryMount(path: string): boolean {
  try {
    mkdirSync(path)
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', `size=4m,nr_inodes=${INODES}`, 'tmpfs', path], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
