// The quicklook pipeline: `node quicklook.js <frame.fits[.gz]>` measures one frame while the telescope still points
// there, and leaves preview.png and catalogue.json in the working directory. Overrides: threshold (times the noise),
// saturation (adu).

import { writeFileSync } from 'node:fs'
import { analyse, saturationLevel } from './analyse.ts'
import { catalogueOf } from './catalogue.ts'
import { EXIT, PipelineFailure } from './failure.ts'
import { exposureTime } from './fits/image.ts'
import { readImage } from './fits/read.ts'
import { encodePng, renderPreview } from './preview.ts'
import { type PipelineRun, runPipeline } from './run.ts'

/** Five times the noise of the smoothed image: about one false star in a million-pixel frame of pure noise. */
const THRESHOLD = 5

runPipeline(quicklook)

function quicklook({ args, reports, numberOverride }: PipelineRun): void {
  const [input] = args
  if (input === undefined)
    throw new PipelineFailure('quicklook needs the path of a FITS image as its argument.', EXIT.usage)
  const image = readImage(input)
  const threshold = numberOverride('threshold', THRESHOLD)
  const saturation = numberOverride('saturation', saturationLevel(image))
  reports.progress(0.2, `read ${image.width} × ${image.height} pixels`)

  const { background, residual, stars, psf, saturatedPixels, missingPixels } = analyse(image, { threshold, saturation })
  reports.metric('stars.count', stars.length, '')
  reports.metric('psf.fwhm', psf.fwhm, 'pix')
  reports.metric('psf.ellipticity', psf.ellipticity, '')
  reports.metric('psf.stars', psf.stars, '')
  reports.metric('background.level', background.level, 'adu')
  reports.metric('background.noise', background.noise, 'adu')
  reports.metric('pixels.saturated', saturatedPixels, '')
  reports.metric('pixels.missing', missingPixels, '')
  const seconds = exposureTime(image.header)
  if (seconds !== undefined) reports.metric('exposure.time', seconds, 's')
  if (stars.length === 0) reports.verdict('no stars found')
  reports.progress(0.7, `measured ${stars.length} stars`)

  writeFileSync('catalogue.json', JSON.stringify(catalogueOf(image, stars, { threshold, saturation })))
  reports.dataset('catalogue', 'catalogue.json', 'application/json')
  writeFileSync('preview.png', encodePng(renderPreview(residual, image.width, image.height, background.noise)))
  reports.dataset('preview', 'preview.png', 'image/png')
  reports.progress(1, 'done')
}
