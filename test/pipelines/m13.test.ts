// Three real frames of M13 (DATA: README of ../shared/data): shallow, oversampled, one field shifted by some twelve
// pixels a frame.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { M13, metric, runPipeline, temporaryFolder } from './support.ts'

const FRAMES = [1, 2, 3].map(n => join(M13, `M13_blue_000${n}.fits`))

test.skipIf(!FRAMES.every(existsSync))(
  'three frames of M13 (skipped where the data are absent) show dozens of stars some nine pixels wide and stack on each other',
  () => {
    const folder = temporaryFolder()
    const members = FRAMES.map((input, i) => {
      const own = temporaryFolder()
      const ran = runPipeline('quicklook.js', [input], own)
      expect(ran).toMatchObject({ exitCode: 0, stderr: '' })
      // SExtractor counts 41 on the second frame, with a median FWHM of 7.6 pixels.
      expect(metric(ran, 'stars.count')).toBeGreaterThan(20)
      expect(metric(ran, 'stars.count')).toBeLessThan(150)
      expect(metric(ran, 'psf.fwhm')).toBeGreaterThan(6)
      expect(metric(ran, 'psf.fwhm')).toBeLessThan(12)
      expect(Math.abs(metric(ran, 'background.level') - 511)).toBeLessThan(5)
      const datasets = { catalogue: join(own, 'catalogue.json') }
      return {
        obsid: `M13_${i + 1}`,
        detector: null,
        jobId: `j${i}`,
        outcome: 'succeeded',
        input,
        workDir: own,
        datasets,
      }
    })
    writeFileSync(join(folder, 'members.json'), JSON.stringify({ group: 'M13', members }))
    const ran = runPipeline('stack.js', [], folder, { OCPS_MEMBERS: 'members.json' })
    expect(ran).toMatchObject({ exitCode: 0, stderr: '' })
    expect(metric(ran, 'stack.framesUsed')).toBe(3)
    // Positions of stars nine pixels wide at ten σ are good to about half a pixel, blends to less.
    expect(metric(ran, 'stack.alignmentResidual')).toBeLessThan(2)
    // √3 is 0.60 mag.
    expect(metric(ran, 'stack.depthGain')).toBeGreaterThan(0.4)
    const { frames } = JSON.parse(readFileSync(join(folder, 'alignment.json'), 'utf8')) as {
      frames: { name: string; dx: number }[]
    }
    const shifts = new Map(frames.map(({ name, dx }) => [name, dx]))
    expect((shifts.get('M13_1') ?? 0) - (shifts.get('M13_2') ?? 0)).toBeCloseTo(12, -0.7)
    expect((shifts.get('M13_2') ?? 0) - (shifts.get('M13_3') ?? 0)).toBeCloseTo(12, -0.7)
  },
)
