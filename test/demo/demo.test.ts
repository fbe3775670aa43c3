// The demo as a stranger runs it: compiled, as a process of its own. It must end well, say what is true of the
// simulated sky, and leave nothing running, also when it is interrupted, killed or given rubbish.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Summary } from '../../src/demo/report.ts'
import { readImage } from '../../src/pipelines/fits/read.ts'
import { simulatedFrames } from '../../src/sim/frames.ts'
import { eventually } from '../bus/eventually.ts'
import { cleanUpAfterEach } from '../cleanUp.ts'

const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url))
/** Two exposures take about five seconds; a loaded machine takes its time. */
const PATIENCE_MS = 60_000

let directory: string
let instance: string

const cleanUp = cleanUpAfterEach()

beforeAll(() => {
  if (!existsSync(main)) throw new Error(`${main} is missing; run "npm run build" first`)
})

beforeEach(async () => {
  const made = (directory = await mkdtemp(join(tmpdir(), 'ocps-demo-test-')))
  cleanUp(() => rm(made, { recursive: true }))
  cleanUp(async () => (await running()).forEach(({ pid }) => process.kill(pid, 'SIGKILL')))
  instance = `DEMO${Math.floor(Math.random() * 1e9)}`
})

describe('ocps demo', { timeout: PATIENCE_MS }, () => {
  test('measures the seeing it simulates, stacks deeper than one exposure, names images that exist, and leaves nothing running', async () => {
    const { code, stdout, stderr } = await finish(demo('--json', '--exposures', '2'))
    expect(stderr).toBe('')
    expect(code).toBe(0)
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as { step: string })
    const steps = lines.map(({ step }) => step)
    expect(steps.filter(step => step === 'accepted')).toHaveLength(2)
    expect(steps.indexOf('combined')).toBe(steps.length - 2)
    const { ok, exposures, stack, group } = lines.at(-1) as unknown as Summary
    expect(ok).toBe(true)
    expect(group).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+$/)
    expect(exposures).toHaveLength(2)
    for (const { fwhm, simulatedFwhm, background, stars, preview, secondsAfterIngest } of exposures) {
      expect(simulatedFwhm).toBeGreaterThan(2)
      expect(Math.abs(Number(fwhm) - Number(simulatedFwhm)) / Number(simulatedFwhm)).toBeLessThan(0.1)
      expect(background).toBeGreaterThan(1500)
      expect(background).toBeLessThan(4000)
      expect(stars).toBeGreaterThan(200)
      expect(secondsAfterIngest).toBeLessThan(20)
      expect(await pngSignature(preview)).toBe('PNG')
    }
    expect(stack.framesUsed).toBe(2)
    // Two frames: at best 2.5 log10(√2) = 0.38 mag.
    expect(stack.depthGain).toBeGreaterThan(0.25)
    expect(stack.depthGain).toBeLessThan(0.45)
    expect(stack.stars).toBeGreaterThan(Math.max(...exposures.map(({ stars }) => stars ?? Infinity)))
    expect(await pngSignature(stack.preview)).toBe('PNG')
    expect(readImage(String(stack.image)).width).toBeGreaterThan(500)
    await nobodyLeft()
  })

  test('takes the frames of a directory in order, plain or gzipped, and speaks in plain lines where there is no terminal', async () => {
    const data = join(directory, 'frames')
    await mkdir(data)
    for (const seqNum of [1, 2]) {
      const shot = { obsid: 'x', dayObs: 1, seqNum, instrument: 'CCD', begun: 0, exposureTime: 15, groupId: 'g' }
      const bytes = await simulatedFrames(5)(shot)
      await (seqNum === 1
        ? writeFile(join(data, 'a.fits'), bytes)
        : writeFile(join(data, 'b.fits.gz'), gzipSync(bytes, { level: 1 })))
    }
    const { code, stdout } = await finish(demo('--data', data))
    expect(code).toBe(0)
    expect(stdout).not.toContain('\u001b')
    expect(stdout).toMatch(/stack of 2 +\d\.\d\d pix/)
    expect(stdout).toMatch(/Stack of 2: 0\.\d\d mag deeper than one exposure/)
    expect(stdout).toContain(`images in  ${join(directory, 'kept')}`)
    expect(await readdir(join(directory, 'kept', 'images'))).toHaveLength(4)
    await nobodyLeft()
  })

  test('with --inspect stays, so that its night can be looked at, and ends well when it is asked to', async () => {
    const child = demo('--inspect', '--exposures', '1')
    let told = ''
    child.stderr?.on('data', (chunk: Buffer) => void (told += chunk.toString()))
    await eventually('the demo names its page', () => told.includes('Ctrl-C') || child.exitCode !== null, PATIENCE_MS)
    const [url = ''] = /http:\/\/127\.0\.0\.1:\d+\//.exec(told) ?? []
    expect(await (await fetch(url)).text()).toContain('<title>OCPS</title>')
    child.kill('SIGINT')
    const { code } = await finish(child)
    expect(code).toBe(0)
    await nobodyLeft()
  })

  test('interrupted in the middle ends with 130 and takes everything along', async () => {
    const child = demo('--json', '--exposures', '20')
    await said(child, '"step":"accepted"')
    child.kill('SIGINT')
    const { code } = await finish(child)
    expect(code).toBe(130)
    await nobodyLeft()
  })

  test('killed in the middle leaves nothing running either', async () => {
    const child = demo('--json', '--exposures', '20')
    await said(child, '"step":"accepted"')
    child.kill('SIGKILL')
    await finish(child)
    await nobodyLeft()
  })

  test('given files that are no images says which jobs failed and why, and ends with 1', async () => {
    const data = join(directory, 'frames')
    await mkdir(data)
    await writeFile(join(data, 'a.fits'), 'not a FITS file')
    const { code, stdout } = await finish(demo('--data', data))
    expect(code).toBe(1)
    expect(stdout).toMatch(/quicklook of AT_O_\d{8}_000001 failed: .*not a usable FITS image/)
    expect(stdout).toContain('no stack')
    await nobodyLeft()
  })

  test.each([
    [['--exposures', '0'], /--exposures must be a whole number from 1 to 50/],
    [['--exposures', 'many'], /--exposures many: a whole number is expected/],
    [['--data', '/nowhere'], /the frames in \/nowhere cannot be read/],
    [['--data', tmpdir()], /holds no frames; files named \*\.fits or \*\.fits\.gz are expected/],
  ])('with %j starts nothing and says in one sentence what is wrong', async (args, sentence) => {
    const { code, stderr } = await finish(demo(...args))
    expect(code).toBe(2)
    expect(stderr).toMatch(sentence)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    await nobodyLeft()
  })
})

function demo(...args: string[]): ChildProcess {
  const options = ['--instance', instance, '--keep', join(directory, 'kept'), ...args]
  const env = { ...process.env, OCPS_DEMO_TEST: instance }
  return spawn(process.execPath, [main, 'demo', ...options], { stdio: ['ignore', 'pipe', 'pipe'], env })
}

async function finish(child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { stdout, stderr } = child
  if (stdout === null || stderr === null) throw new Error('the demo has no pipes')
  const [out, err] = await Promise.all([text(stdout), text(stderr), child.exitCode ?? once(child, 'close')])
  return { code: child.exitCode, stdout: out, stderr: err }
}

/** Until the child has said it; what it says later is still read by finish. */
async function said(child: ChildProcess, words: string): Promise<void> {
  let heard = ''
  const listen = (chunk: Buffer): void => void (heard += chunk.toString())
  child.stdout?.on('data', listen)
  await eventually(`the demo said ${words}`, () => heard.includes(words) || child.exitCode !== null)
  child.stdout?.off('data', listen)
  expect(heard).toContain(words)
}

/** Moments later: the guard of nats-server ends with a last sleep of 0.1 s. */
async function nobodyLeft(): Promise<void> {
  await eventually('nobody is left', async () => (await running()).length === 0).catch(() => {})
  expect(await running()).toEqual([])
}

interface RunningProcess {
  readonly pid: number
  readonly command: string
}

/**
 * Processes of this demo: its own inherit our mark, pipelines are told their instance. Empty where there is no /proc to
 * look into.
 */
async function running(): Promise<RunningProcess[]> {
  const marks = [`OCPS_DEMO_TEST=${instance}`, `OCPS_INSTANCE=${instance}`]
  const pids = existsSync('/proc/self/environ') ? (await readdir('/proc')).filter(name => /^\d+$/.test(name)) : []
  const ours = await Promise.all(
    pids.map(async pid => {
      const [environment, command] = await Promise.all(
        ['environ', 'cmdline'].map(name => readFile(`/proc/${pid}/${name}`, 'latin1').catch(() => '')),
      )
      const isOurs = environment?.split('\0').some(variable => marks.includes(variable))
      return isOurs ? [{ pid: Number(pid), command: command?.replaceAll('\0', ' ') ?? '' }] : []
    }),
  )
  return ours.flat()
}

async function pngSignature(path: string | null): Promise<string> {
  return (await readFile(String(path))).subarray(1, 4).toString('latin1')
}
