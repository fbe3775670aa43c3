// SExtractor as a pipeline: `node sourceExtractor.js <frame.fits>` runs the tool of Bertin & Arnouts (1996, A&AS 117,
// 393) with all settings on its command line, and turns its catalogue into metrics and a catalogue.json that stack can
// read. The binary is OCPS_SOURCE_EXTRACTOR, or source-extractor (Debian), or sex (upstream). Overrides: threshold
// (times the noise per pixel).

import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { catalogueOf } from './catalogue.ts'
import { EXIT, PipelineFailure } from './failure.ts'
import { saturationLevel, type Star } from './analyse.ts'
import { readImage } from './fits/read.ts'
import { type PipelineRun, runPipeline } from './run.ts'
import { median } from './statistics.ts'

/**
 * Per pixel of the filtered image, as SExtractor counts it: its own default, fit for crowded and empty fields alike.
 */
const THRESHOLD = 1.5
const PARAMETERS = [
  'X_IMAGE',
  'Y_IMAGE',
  'FLUX_AUTO',
  'FWHM_IMAGE',
  'ELLIPTICITY',
  'FLUX_MAX',
  'FLAGS',
  'SNR_WIN',
] as const
/** SExtractor's default.conv: a pyramid of FWHM 2 pixels. */
const FILTER = 'CONV NORM\n1 2 1\n2 4 2\n1 2 1\n'
/** Bit of FLAGS set where a pixel is saturated. */
const SATURATED = 4

runPipeline(sourceExtractor)

function sourceExtractor({ args, reports, numberOverride }: PipelineRun): void {
  const [input] = args
  if (input === undefined)
    throw new PipelineFailure('sourceExtractor needs the path of a FITS image as its argument.', EXIT.usage)
  const threshold = numberOverride('threshold', THRESHOLD)
  // Read first: SExtractor's own word on a damaged file is long, and its exit code tells nothing.
  const image = readImage(input)
  const saturation = saturationLevel(image)
  writeFileSync('sextractor.param', `${PARAMETERS.join('\n')}\n`)
  writeFileSync('sextractor.conv', FILTER)
  reports.progress(0.1, 'starting SExtractor')
  const settings = {
    CATALOG_TYPE: 'ASCII',
    CATALOG_NAME: 'sextractor.cat',
    PARAMETERS_NAME: 'sextractor.param',
    FILTER_NAME: 'sextractor.conv',
    DETECT_THRESH: threshold,
    ANALYSIS_THRESH: threshold,
    SATUR_LEVEL: Math.min(saturation, 1e30),
    VERBOSE_TYPE: 'NORMAL',
  }
  // An empty configuration file: every setting that matters is on the command line, where the job's record shows it.
  const words = run([
    input,
    '-c',
    '/dev/null',
    ...Object.entries(settings).flatMap(([key, value]) => [`-${key}`, String(value)]),
  ])
  const rows = readFileSync('sextractor.cat', 'utf8')
    .split('\n')
    .filter(line => line.trim() !== '')
    .map(readRow)
  const stars = rows.map(row => row.star).sort((a, b) => b.flux - a.flux)
  const good = rows.filter(
    ({ flags, signalToNoise, star }) => flags === 0 && signalToNoise > 15 && (star.fwhm ?? 0) > 0.9,
  )
  reports.metric('stars.count', stars.length, '')
  reports.metric('psf.fwhm', median(good.map(({ star }) => star.fwhm ?? Number.NaN)), 'pix')
  reports.metric('psf.ellipticity', median(good.map(({ star }) => star.ellipticity ?? Number.NaN)), '')
  reports.metric('background.level', figureAfter('Background:', words), 'adu')
  reports.metric('background.noise', figureAfter('RMS:', words), 'adu')
  if (stars.length === 0) reports.verdict('no stars found')
  writeFileSync('catalogue.json', JSON.stringify(catalogueOf(image, stars, { threshold, saturation })))
  reports.dataset('catalogue', 'catalogue.json', 'application/json')
  reports.dataset('sextractor', 'sextractor.cat', 'text/plain')
  reports.progress(1, 'done')
}

/**
 * Runs the first binary there is and returns what it said. Throws PipelineFailure (exit 4) where there is none or it
 * fails.
 */
function run(args: readonly string[]): string {
  const told = process.env['OCPS_SOURCE_EXTRACTOR'] ?? ''
  const names = told === '' ? ['source-extractor', 'sex'] : [told]
  for (const name of names) {
    // No time limit here: OCPS stops the whole process group at the pipeline's limit.
    const result = spawnSync(name, args, { encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 })
    if (result.error !== undefined && 'code' in result.error && result.error.code === 'ENOENT') continue
    if (result.status === 0) return result.stdout + result.stderr
    const last = result.stderr.trim().split('\n').at(-1) ?? ''
    throw new PipelineFailure(
      `${name} failed with ${result.signal ?? `exit code ${result.status}`}: ${last}`,
      EXIT.tool,
    )
  }
  throw new PipelineFailure(
    `No SExtractor on this machine: looked for ${names.join(' and ')} (Debian package source-extractor).`,
    EXIT.tool,
  )
}

function readRow(line: string): { star: Star; flags: number; signalToNoise: number } {
  const fields = line.trim().split(/\s+/u).map(Number)
  const [
    x = Number.NaN,
    y = Number.NaN,
    flux = Number.NaN,
    fwhm = 0,
    ellipticity = 0,
    peak = 0,
    flags = 0,
    signalToNoise = 0,
  ] = fields
  if (fields.length !== PARAMETERS.length || fields.some(Number.isNaN)) {
    throw new PipelineFailure(
      `sextractor.cat: expected ${PARAMETERS.length} numbers in a row, found "${line.trim()}".`,
      EXIT.tool,
    )
  }
  // FITS counts pixels from 1, catalogues here from 0.
  const star: Star = { x: x - 1, y: y - 1, flux, fwhm, ellipticity, peak, saturated: (flags & SATURATED) !== 0 }
  return { star, flags, signalToNoise }
}

/**
 * The number after a label in SExtractor's messages ("Background: 513.1 RMS: 23.3 / Threshold: 34.9"); null where it is
 * not there.
 */
function figureAfter(label: string, words: string): number | null {
  const figure = new RegExp(`${label}\\s*(-?[0-9.]+(?:[eE][+-]?[0-9]+)?)`, 'u').exec(words)?.[1]
  return figure === undefined ? null : Number(figure)
}
