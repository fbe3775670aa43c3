// Stacking: aligning, combining, and leaving out what does not belong.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { align, applyTransform } from '../../src/pipelines/align.ts'
import { combine } from '../../src/pipelines/combine.ts'
import { readImage } from '../../src/pipelines/fits/read.ts'
import { resample } from '../../src/pipelines/resample.ts'
import { type Exposure, renderExposure, skyStars } from '../../src/sim/sky.ts'
import { FIELD, measured, metric, type Ran, runPipeline, temporaryFolder } from './support.ts'

const SIZE = { width: 512, height: 512 }

describe('aligning', () => {
  test.each([
    [0, 0, 0],
    [37.3, -21.8, 0],
    [-60.5, 44.2, 0.01],
    [12, 8, -0.05],
  ])('finds a shift of (%d, %d) pixels and a rotation of %d rad', (dx, dy, rotation) => {
    const there: Exposure = { ...FIELD, exposureSeed: 5, dither: { dx, dy }, rotation }
    const alignment = align({ stars: measured(FIELD).stars, ...SIZE }, { stars: measured(there).stars, ...SIZE })
    expect(alignment?.residual).toBeLessThan(0.2)
    for (const [i, star] of skyStars(FIELD).slice(0, 20).entries()) {
      const truth = skyStars(there)[i]
      const found = alignment === null ? { x: Number.NaN, y: Number.NaN } : applyTransform(alignment.transform, star)
      expect(Math.hypot(found.x - (truth?.x ?? 0), found.y - (truth?.y ?? 0))).toBeLessThan(0.1)
    }
  })

  test('finds nothing between two different fields, or with too few stars', () => {
    const [ours, theirs] = [measured(FIELD).stars, measured({ ...FIELD, seed: 4 }).stars]
    expect(align({ stars: ours, ...SIZE }, { stars: theirs, ...SIZE })).toBeNull()
    expect(align({ stars: ours, ...SIZE }, { stars: ours.slice(0, 2), ...SIZE })).toBeNull()
    expect(align({ stars: [], ...SIZE }, { stars: [], ...SIZE })).toBeNull()
  })
})

describe('resampling', () => {
  test('by half a pixel keeps a star’s light and its place', () => {
    const pixels = new Float32Array(41 * 41)
    for (let y = 0; y < 41; y++)
      for (let x = 0; x < 41; x++) pixels[y * 41 + x] = Math.exp(-((x - 20) ** 2 + (y - 20) ** 2) / 4)
    const moved = resample(pixels, 41, 41, { cos: 1, sin: 0, dx: 0.5, dy: -0.25 })
    let [sum, sx, sy] = [0, 0, 0]
    for (const [at, value] of moved.entries()) {
      if (Number.isNaN(value)) continue
      sum += value
      sx += value * (at % 41)
      sy += value * Math.floor(at / 41)
    }
    expect(sum).toBeCloseTo(4 * Math.PI, 2)
    expect(sx / sum).toBeCloseTo(19.5, 2)
    expect(sy / sum).toBeCloseTo(20.25, 1)
  })
})

const layer = (...pixels: number[]) => ({ pixels: Float32Array.from(pixels), noise: 1 })

describe('combining', () => {
  test('is a mean where the frames agree, and takes what there is where some have nothing', () => {
    const { pixels } = combine([layer(1, Number.NaN, Number.NaN), layer(2, 5, Number.NaN), layer(3, 6, Number.NaN)], 1)
    expect([...pixels]).toEqual([2, 5.5, Number.NaN])
  })

  test('leaves out a cosmic ray, also of two frames only', () => {
    expect([...combine([layer(1), layer(900), layer(2)], 1).pixels]).toEqual([1.5])
    expect([...combine([layer(1), layer(900)], 1).pixels]).toEqual([1])
    expect([...combine([layer(1), layer(-300)], 1).pixels]).toEqual([1])
  })

  test('weighs a noisy frame less', () => {
    const noisy = { pixels: Float32Array.of(4), noise: 2 }
    expect(combine([layer(0), noisy], 1).pixels[0]).toBeCloseTo(0.8, 6)
  })
})

interface MemberFile {
  readonly obsid: string
  readonly exposure: Exposure
  readonly outcome?: string
}

/** Quicklooks every exposure as a process, then stacks them as a process. */
function stacked(members: readonly MemberFile[]): { ran: Ran; folder: string } {
  const folder = temporaryFolder()
  const list = members.map(({ obsid, exposure, outcome = 'succeeded' }) => {
    const input = join(folder, `${obsid}.fits`)
    writeFileSync(input, renderExposure(exposure))
    const looked = runPipeline('quicklook.js', [input], folder)
    const catalogue = join(folder, `${obsid}.json`)
    writeFileSync(catalogue, readFileSync(join(folder, 'catalogue.json')))
    const fwhm = { value: looked.metrics.get('psf.fwhm'), unit: 'pix' }
    const settled = {
      obsid,
      detector: null,
      pipeline: 'quicklook',
      jobId: `j.${obsid}`,
      outcome,
      input,
      workDir: folder,
    }
    return { ...settled, datasets: { catalogue }, metrics: { 'psf.fwhm': fwhm } }
  })
  return { ran: runStack(folder, list), folder }
}

function runStack(folder: string, members: readonly unknown[]): Ran {
  const path = join(folder, 'members.json')
  writeFileSync(path, JSON.stringify({ group: 'g1', members }))
  const own = temporaryFolder()
  const ran = runPipeline('stack.js', [], own, { OCPS_MEMBERS: path })
  if (ran.exitCode === 0) writeFileSync(join(folder, 'stack.fits'), readFileSync(join(own, 'stack.fits')))
  return ran
}

const DITHERS = [
  [0, 0],
  [23.4, -11.7],
  [-31.2, 18.3],
  [8.8, 40.1],
] as const
/** Four exposures of one field; the second is hit by that many cosmic rays. */
const dithered = (cosmicRays: number): MemberFile[] =>
  DITHERS.map(([dx, dy], i) => ({
    obsid: `obs${i}`,
    exposure: { ...FIELD, exposureSeed: i + 1, dither: { dx, dy }, cosmicRays: i === 1 ? cosmicRays : 0 },
  }))

describe('a stack of frames that were never processed', () => {
  test('finds their stars by itself, and leaves out the one that is not there', () => {
    const folder = temporaryFolder()
    const frames = dithered(0).slice(0, 2)
    for (const { obsid, exposure } of frames) writeFileSync(join(folder, `${obsid}.fits`), renderExposure(exposure))
    const raw = { detector: null, pipeline: null, jobId: null, outcome: null, workDir: null, datasets: {}, metrics: {} }
    const members = ['obs0', 'obs1', 'gone'].map(obsid => ({ ...raw, obsid, input: join(folder, `${obsid}.fits`) }))
    const ran = runStack(folder, members)
    expect(ran).toMatchObject({ exitCode: 0, stderr: '' })
    expect(metric(ran, 'stack.framesUsed')).toBe(2)
    expect(metric(ran, 'stack.framesRejected')).toBe(1)
    expect(metric(ran, 'stack.alignmentResidual')).toBeLessThan(0.2)
  })
})

describe('a stack of four dithered frames', () => {
  test('is aligned to a fifth of a pixel, twice as quiet as one frame, and free of cosmic rays', () => {
    const { ran, folder } = stacked(dithered(60))
    expect(ran).toMatchObject({ exitCode: 0, stderr: '' })
    expect(metric(ran, 'stack.framesUsed')).toBe(4)
    expect(metric(ran, 'stack.alignmentResidual')).toBeLessThan(0.2)
    // √4 is 0.753 mag.
    expect(metric(ran, 'stack.depthGain')).toBeGreaterThan(0.65)
    expect(metric(ran, 'stack.depthGain')).toBeLessThan(0.85)
    expect(metric(ran, 'psf.fwhm')).toBeLessThan(3.3)
    // The stack without them is the truth. On the core of a bright star, where seeing may do as much, one may stay.
    const clean = stacked(dithered(0))
    const [hit, truth] = [readImage(join(folder, 'stack.fits')), readImage(join(clean.folder, 'stack.fits'))]
    // Otherwise the two are not on the same pixels.
    expect(hit.header.get('REFFRAME')).toBe(truth.header.get('REFFRAME'))
    const spoiled = hit.pixels.filter((value, at) => {
      const clear = truth.pixels[at] ?? 0
      return Math.abs(value - clear) > 100 + 0.2 * (clear - 300)
    })
    expect(spoiled.length).toBe(0)
  })

  test('leaves out a frame of another field and a failed member, and names both', () => {
    const stray: MemberFile = { obsid: 'stray', exposure: { ...FIELD, seed: 99 } }
    const failed: MemberFile = { obsid: 'broken', exposure: FIELD, outcome: 'failed' }
    const { ran } = stacked([stray, failed, ...dithered(0).slice(0, 3)])
    expect(ran.exitCode).toBe(0)
    expect(metric(ran, 'stack.framesUsed')).toBe(3)
    expect(metric(ran, 'stack.framesRejected')).toBe(2)
    expect(ran.notes.some(note => note.startsWith('left out: stray (its '))).toBe(true)
    expect(ran.notes).toContain('left out: broken (failed)')
  })
})

describe('a stack', () => {
  test('of a single frame is that frame', () => {
    const { ran } = stacked(dithered(0).slice(0, 1))
    expect(ran.exitCode).toBe(0)
    expect(metric(ran, 'stack.framesUsed')).toBe(1)
    expect(Math.abs(metric(ran, 'stack.depthGain'))).toBeLessThan(0.05)
    expect(ran.metrics.get('stack.alignmentResidual')).toBeNull()
  })

  test('of no usable member ends with exit code 3 and one sentence', () => {
    const ran = runStack(temporaryFolder(), [{ obsid: 'a', outcome: 'timedOut', input: '/nowhere.fits', datasets: {} }])
    expect(ran.exitCode).toBe(3)
    expect(ran.stderr).toMatch(/^[^\n]*nothing to stack: of the group's 1 member none succeeded[^\n]*\.\n$/u)
  })
})
