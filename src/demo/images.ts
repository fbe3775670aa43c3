// Puts the demo's images where a person finds them: <directory>/images/<obsid>.png, stack.png and stack.fits, copied
// from the jobs' own directories. A missing image is left out, never a failure: the table tells how its job ended.

import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline as streamed } from 'node:stream/promises'
import { openUntrusted } from '../jobFiles/untrusted.ts'
import { numberIn, readHeader } from '../pipelines/fits/header.ts'
import type { Model } from './model.ts'
import type { Places, Truth } from './report.ts'
import type { GroupResultHeard, JobResultHeard } from './wire.ts'

interface Directories {
  /** The demo's own. */
  readonly directory: string
  /** Holds a directory for each job. */
  readonly workDir: string
}

export async function gatherImages(model: Model, { directory, workDir }: Directories): Promise<Places> {
  const images = join(directory, 'images')
  await mkdir(images, { recursive: true })
  const previews: Record<string, string> = {}
  for (const { obsid, job } of model.exposures) {
    const path = job?.result && (await place(job.result, 'preview', join(images, `${obsid}.png`)))
    if (path) previews[obsid] = path
  }
  const { groupResult } = model
  return {
    directory,
    previews,
    stackPreview: groupResult && (await place(groupResult, 'preview', join(images, 'stack.png'))),
    stackImage: groupResult && (await place(groupResult, 'stack', join(images, 'stack.fits'))),
  }

  async function place(
    { jobId, datasets }: Pick<JobResultHeard | GroupResultHeard, 'jobId' | 'datasets'>,
    name: string,
    path: string,
  ): Promise<string | null> {
    const found = datasets.find(({ dataset }) => dataset === name)
    if (found === undefined || jobId === null) return null
    await rm(path, { force: true })
    const opened = openUntrusted(join(workDir, jobId), found.path)
    if (opened === null) return null
    // What was opened is copied, whatever stands under its name by now.
    return await streamed(
      createReadStream('', { fd: opened.descriptor, end: IMAGE_BYTES_MAX }),
      createWriteStream(path),
    ).then(
      () => path,
      () => null,
    )
  }
}

/** A stack of full frames; a sparse file of a terabyte is not copied. */
const IMAGE_BYTES_MAX = 1 << 30

/** What the simulator wrote into its headers; real frames have no such card. */
export async function readTruth(model: Model, pathOf: (obsid: string) => string): Promise<Truth> {
  const truth = new Map<string, number>()
  for (const { obsid } of model.exposures) {
    const block = await readFile(pathOf(obsid)).then(
      bytes => readHeader(bytes, 0),
      () => '',
    )
    const fwhm = typeof block === 'string' ? undefined : numberIn(block.header, 'SIMFWHM')
    if (fwhm !== undefined) truth.set(obsid, fwhm)
  }
  return truth
}
