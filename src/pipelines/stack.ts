// The stack pipeline: `OCPS_MEMBERS=members.json node stack.js` combines the frames of a group into one deeper frame,
// says by measurement how much deeper it is, and leaves stack.fits, stack.png, catalogue.json and alignment.json in the
// working directory.

import { writeFileSync } from 'node:fs'
import { analyse } from './analyse.ts'
import { catalogueOf } from './catalogue.ts'
import { EXIT, PipelineFailure } from './failure.ts'
import { encodeFloatImage } from './fits/write.ts'
import { describeTransform, type Placed } from './frames.ts'
import { readMembers } from './members.ts'
import { encodePng, renderPreview } from './preview.ts'
import { type PipelineRun, runPipeline } from './run.ts'
import { type Stack, stackGroup } from './stacking.ts'

const THRESHOLD = 5

runPipeline(stack)

function stack({ reports, numberOverride }: PipelineRun): void {
  const path = process.env['OCPS_MEMBERS'] ?? ''
  if (path === '')
    throw new PipelineFailure("stack needs OCPS_MEMBERS, the path of the group's members.json.", EXIT.usage)
  const settings = { threshold: numberOverride('threshold', THRESHOLD), saturation: Number.POSITIVE_INFINITY }
  const members = readMembers(path)
  const stacked = stackGroup(members, settings, reports.progress)
  const { image, cards, used } = stacked
  const { width, height } = image
  const { background, residual, stars, psf } = analyse(image, settings)
  reports.metric('stack.framesUsed', used.length, '')
  reports.metric('stack.framesRejected', stacked.leftOut.length, '')
  reports.metric('stack.depthGain', 2.5 * Math.log10(stacked.singleNoise / background.noise), 'mag')
  reports.metric('stack.noise', background.noise, 'adu')
  reports.metric('stack.background', background.level, 'adu')
  reports.metric('stack.alignmentResidual', alignmentResidual(used), 'pix')
  reports.metric('stack.pixelsRejected', stacked.rejectedValues, '')
  reports.metric('exposure.time', stacked.exposureTime, 's')
  reports.metric('psf.fwhm', psf.fwhm, 'pix')
  reports.metric('psf.ellipticity', psf.ellipticity, '')
  reports.metric('stars.count', stars.length, '')
  if (stars.length === 0) reports.verdict('no stars found')
  reports.progress(0.85, `measured ${stars.length} stars`)

  writeFileSync('stack.fits', encodeFloatImage(width, height, image.pixels, cards))
  reports.dataset('stack', 'stack.fits', 'application/fits')
  writeFileSync('stack.png', encodePng(renderPreview(residual, width, height, background.noise)))
  reports.dataset('preview', 'stack.png', 'image/png')
  writeFileSync('catalogue.json', JSON.stringify(catalogueOf(image, stars, settings)))
  reports.dataset('catalogue', 'catalogue.json', 'application/json')
  writeFileSync('alignment.json', JSON.stringify(alignmentOf(members.group, stacked), null, 1))
  reports.dataset('alignment', 'alignment.json', 'application/json')
  reports.progress(1, 'done')
}

/** Over all frames but the reference, pixels; null where there is no other. */
function alignmentResidual(used: readonly Placed[]): number | null {
  const others = used.filter(({ residual }) => residual > 0)
  if (others.length === 0) return null
  return Math.sqrt(others.reduce((sum, { residual }) => sum + residual ** 2, 0) / others.length)
}

function alignmentOf(group: string, { reference, used, leftOut, image }: Stack): Record<string, unknown> {
  return {
    units: {
      dx: 'pix, of the stars against the reference at the middle of the detector',
      dy: 'pix, as dx',
      rotation: 'deg, counter-clockwise',
      residual: 'pix, root mean square of the matched stars along one axis',
      scale: 'what the frame was multiplied by to be as bright as the reference',
    },
    group,
    reference,
    frames: used.map(({ member, transform, matched, residual, scale }) => ({
      name: member.name,
      jobId: member.jobId,
      ...describeTransform(transform, image),
      matched,
      residual,
      scale,
    })),
    leftOut,
  }
}
