/**
 * Which images there are to look at, and how they belong together: what the display's views show, the exposures of a
 * group with their combined image, the detectors of an exposure. Read from the fold; whether a file is there is the
 * gateway's to say.
 */
import type { DisplayImage } from '../../machines/domain/announcements.ts'
import { compareExposures, type DataId } from '../../machines/domain/dataId.ts'
import type { DisplayContext } from '../../machines/display.ts'
import type { Night } from './night.ts'

export interface Picture extends DisplayImage {
  /** Unlike any other's, and another one when the file was written anew. */
  readonly key: string
  /** Short, for people: the obsid, or `combined`. */
  readonly name: string
  readonly attempt: number
}

export interface PictureSet {
  readonly title: string
  /** The combined image first, then exposures as they were observed. */
  readonly pictures: readonly Picture[]
}

export interface View {
  readonly view: string
  /** What the configuration says it shows, for people. */
  readonly wants: string
  readonly picture: Picture | null
}

/** The views of the display in the order of the configuration; none where nothing is of interest. */
export function viewsOf(night: Night): readonly View[] {
  const actor = night.world.actor('display')
  if (!actor) return []
  const { interests, shown } = actor.snapshot.context as DisplayContext
  const names = [...new Set(interests.map(({ view }) => view))]
  return names.map(view => {
    const wants = interests
      .filter(one => one.view === view)
      .map(({ dataset, instrument, detector }) =>
        [dataset, instrument ?? '', detector === null ? '' : `detector ${detector}`].filter(Boolean).join(' '),
      )
    const image = shown[view]
    return { view, wants: wants.join(', or '), picture: image ? pictureOf(night, image) : null }
  })
}

/** Sets of what a browser can show, the newest first. */
export function setsOf(night: Night, by: 'group' | 'exposure'): readonly PictureSet[] {
  const sets = new Map<string, Picture[]>()
  for (const { jobId, context } of night.jobs.values())
    for (const dataset of context.datasets) {
      if (!isImage(dataset)) continue
      const { dataId, pipeline } = context
      const title = titleOf(dataId, by)
      const picture = pictureOf(night, { ...dataset, jobId, dataId, pipeline: pipeline.name })
      const set = sets.get(title)
      if (set) set.push(picture)
      else sets.set(title, [picture])
    }
  return [...sets].map(([title, pictures]) => ({ title, pictures: pictures.sort(inOrder) })).reverse()
}

/**
 * What is worth comparing with a picture by blinking: the same kind of image, of the same detector, of every exposure
 * in the set.
 */
export function blinkable(pictures: readonly Picture[], { dataset, dataId, pipeline }: Picture): readonly Picture[] {
  if (dataId.obsid === null) return blinkableFirst(pictures)
  return pictures.filter(
    one =>
      one.dataset === dataset &&
      one.pipeline === pipeline &&
      one.dataId.obsid !== null &&
      one.dataId.detector === dataId.detector,
  )
}

export function isImage({ mime }: Pick<DisplayImage, 'mime'>): boolean {
  return mime.startsWith('image/')
}

/** Beside the combined image: the exposures, as the first one is shown. */
function blinkableFirst(pictures: readonly Picture[]): readonly Picture[] {
  const first = pictures.find(({ dataId }) => dataId.obsid !== null)
  return first ? blinkable(pictures, first) : []
}

function pictureOf(night: Night, image: DisplayImage): Picture {
  const attempt = night.jobs.get(image.jobId)?.context.attempt ?? 1
  return { ...image, attempt, key: `${image.jobId} ${image.path} ${attempt}`, name: nameOf(image) }
}

function nameOf({ dataset, dataId: { obsid, detector } }: DisplayImage): string {
  if (obsid === null) return `combined (${dataset})`
  return `${detector === null ? obsid : `${obsid} · ${detector}`}${dataset === 'preview' ? '' : ` ${dataset}`}`
}

function titleOf({ group, obsid }: DataId, by: 'group' | 'exposure'): string {
  if (by === 'exposure' && obsid !== null) return `Exposure ${obsid}`
  return group === null ? 'Without a group' : `Group ${group}`
}

function inOrder(one: Picture, other: Picture): number {
  const [a, b] = [one.dataId, other.dataId]
  if (a.obsid === null || b.obsid === null) return Number(a.obsid !== null) - Number(b.obsid !== null)
  return compareExposures(a.obsid, b.obsid) || (a.detector ?? 0) - (b.detector ?? 0)
}
