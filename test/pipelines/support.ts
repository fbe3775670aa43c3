// What the pipeline tests share: frames of the simulated sky, FITS bytes of any kind, and built pipelines run as
// processes.

import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type Analysis, analyse, saturationLevel } from '../../src/pipelines/analyse.ts'
import { type CardValue, writeHeader } from '../../src/pipelines/fits/header.ts'
import type { Image } from '../../src/pipelines/fits/image.ts'
import { decodeImage } from '../../src/pipelines/fits/read.ts'
import { type Exposure, renderExposure } from '../../src/sim/sky.ts'

export const ROOT = new URL('../../', import.meta.url).pathname
export const M13 = join(ROOT, '../shared/data/m13')

/** A quiet, well-sampled field; what a test is about it overrides. */
export const FIELD: Exposure = {
  seed: 20_261_122,
  width: 512,
  height: 512,
  fwhm: 3,
  profile: 'gaussian',
  skyLevel: 300,
  readNoise: 8,
  gain: 1.5,
  exposureTime: 10,
  starCount: 150,
  saturation: 60_000,
}

export function frameOf(exposure: Exposure): Image {
  return decodeImage(renderExposure(exposure), 'simulated')
}

export function measured(exposure: Exposure, threshold = 5): Analysis {
  const image = frameOf(exposure)
  return analyse(image, { threshold, saturation: saturationLevel(image) })
}

/** Noise of one background pixel, adu, as the simulation makes it. */
export function skyNoise({ skyLevel, gain, readNoise }: Exposure): number {
  return Math.sqrt(skyLevel / gain + (readNoise / gain) ** 2)
}

/** A folder that is gone when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ocps-pipelines-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** FITS bytes: a header from cards, data behind it, both padded to blocks. */
export function hdu(cards: readonly (readonly [string, CardValue])[], data: Uint8Array): Buffer {
  return Buffer.concat([writeHeader(cards), data, Buffer.alloc((2880 - (data.length % 2880)) % 2880)])
}

export interface Ran {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
  /** The lines of reports.ndjson, parsed. */
  readonly reports: readonly Record<string, unknown>[]
  readonly metrics: ReadonlyMap<string, unknown>
  readonly notes: readonly string[]
}

/** Runs a built pipeline as the executor does: in `folder`, with descriptor 3 appending to reports.ndjson. */
export function runPipeline(
  script: string,
  args: readonly string[],
  folder: string,
  env: Record<string, string> = {},
): Ran {
  const path = join(folder, 'reports.ndjson')
  const fd = openSync(path, 'a')
  const result = spawnSync(process.execPath, [join(ROOT, 'dist/src/pipelines', script), ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe', fd],
    encoding: 'utf8',
    // A loaded machine needs a few seconds for a stack; this is for a pipeline that hangs.
    timeout: 60_000,
  })
  closeSync(fd)
  const reports = readFileSync(path, 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Record<string, unknown>)
  return {
    exitCode: result.status,
    stdout: result.stdout,
    stderr: result.stderr,
    reports,
    metrics: new Map(
      reports.flatMap(report => (typeof report['metric'] === 'string' ? [[report['metric'], report['value']]] : [])),
    ),
    notes: reports.flatMap(report => (typeof report['note'] === 'string' ? [report['note']] : [])),
  }
}

export function metric(ran: Ran, name: string): number {
  const value = ran.metrics.get(name)
  if (typeof value !== 'number')
    throw new Error(`metric ${name} is ${JSON.stringify(value)}, not a number; stderr: ${ran.stderr}`)
  return value
}
