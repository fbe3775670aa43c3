/// <reference lib="dom" />
/**
 * Images: what each view of the display shows now, and previews by group or by exposure, the combined image first. Any
 * of them large, with its neighbours.
 */
import { useEffect, useState } from 'preact/hooks'
import type { JobRecord } from '../../night/night.ts'
import { blinkable, isImage, type Picture, type PictureSet, setsOf, type View, viewsOf } from '../../night/pictures.ts'
import { Large } from './Large.tsx'
import { Actor, Chip, Empty, jobTone, jobWord, Section } from './parts.tsx'
import { pictureUrl } from './pictureUrl.ts'
import { night, source } from './store.ts'
import { slowVersion } from './frames.ts'

// What a browser scrolls through without effort; images load when they come into view.
const SETS_MAX = 20
const PICTURES_MAX = 48

interface Opened {
  /** null: the view named `title`, whatever it shows. */
  readonly first: string | null
  readonly title: string
  readonly isBlinking: boolean
}

/** `jobId`: whose image to begin with, or ''. */
export function ImagesView({ jobId }: { jobId: string }) {
  void slowVersion.value
  const [by, arrange] = useState<'group' | 'exposure'>('group')
  const [open, setOpen] = useState<Opened | null>(null)
  const tonight = night()
  const sets = source.value === 'live' ? setsOf(tonight, by) : []
  const asked = jobId === '' ? undefined : sets.find(({ pictures }) => pictures.some(one => one.jobId === jobId))
  useEffect(() => {
    const first = asked?.pictures.find(one => one.jobId === jobId)
    if (asked && first) setOpen({ title: asked.title, first: first.key, isBlinking: false })
  }, [jobId, asked === undefined])
  if (source.value !== 'live')
    return (
      <Section title="Images">
        <Empty>A recording holds what was said of images, not the images themselves.</Empty>
      </Section>
    )
  const views = viewsOf(tonight)
  const close = () => {
    setOpen(null)
    if (jobId !== '') location.hash = '#/images'
  }
  return (
    <div>
      <Views views={views} open={view => setOpen({ title: view, first: null, isBlinking: false })} />
      <div class="arranged">
        <span class="choice" role="group" aria-label="arranged by">
          {(['group', 'exposure'] as const).map(one => (
            <button key={one} type="button" aria-pressed={by === one} onClick={() => arrange(one)}>
              By {one}
            </button>
          ))}
        </span>
        {sets.length > SETS_MAX && (
          <span class="muted">
            the newest {SETS_MAX} of {sets.length}
          </span>
        )}
      </div>
      {sets.length === 0 && (
        <Section title="Images">
          <Empty>No job has made a preview yet.</Empty>
        </Section>
      )}
      {sets.slice(0, SETS_MAX).map(set => (
        <Pictures key={set.title} set={set} open={setOpen} />
      ))}
      {open && (
        <Large
          key={`${open.title} ${open.first}`}
          title={open.first === null ? `view ${open.title}` : open.title}
          pictures={picturesOf(open, sets, views)}
          first={open.first}
          isBlinking={open.isBlinking}
          close={close}
        />
      )}
    </div>
  )
}

function picturesOf({ title, first }: Opened, sets: readonly PictureSet[], views: readonly View[]): readonly Picture[] {
  if (first !== null) return sets.find(one => one.title === title)?.pictures ?? []
  const picture = views.find(({ view }) => view === title)?.picture
  return picture ? [picture] : []
}

function Views({ views, open }: { views: readonly View[]; open: (view: string) => void }) {
  return (
    <Section title="Views" note={views.length === 0 ? '' : 'the newest exposure of each'}>
      {views.length === 0 && (
        <Empty>
          No view is configured. <code>display: [&#123; view: newest, dataset: preview &#125;]</code> in the
          configuration makes one.
        </Empty>
      )}
      <ul class="pictures views">
        {views.map(({ view, wants, picture }) => (
          <li key={view} data-view={view}>
            <h3>
              {view} <small>{wants}</small>
            </h3>
            {picture && isImage(picture) ? (
              <>
                <button type="button" onClick={() => open(view)} aria-label={`enlarge view ${view}`}>
                  <img src={pictureUrl(picture)} alt={`${view}: ${picture.name}`} />
                </button>
                <Actor address={`job.${picture.jobId}`}>{picture.name}</Actor>
              </>
            ) : (
              <>
                <div class="blank">{picture === null ? 'nothing yet' : picture.mime}</div>
                {picture && <Actor address={`job.${picture.jobId}`}>{picture.name}</Actor>}
              </>
            )}
          </li>
        ))}
      </ul>
    </Section>
  )
}

function Pictures({ set: { title, pictures }, open }: { set: PictureSet; open: (what: Opened) => void }) {
  const jobs = night().jobs
  const exposure = pictures.find(({ dataId }) => dataId.obsid !== null)
  const isBlinkable = exposure !== undefined && blinkable(pictures, exposure).length > 1
  return (
    <Section
      title={title}
      note={
        <span class="choice">
          {isBlinkable && (
            <button
              type="button"
              onClick={() => open({ title, first: exposure.key, isBlinking: true })}
              aria-label={`blink ${title}`}
            >
              Blink
            </button>
          )}
          {pictures.length}
        </span>
      }
    >
      <ul class="pictures">
        {pictures.slice(0, PICTURES_MAX).map(picture => {
          const job = jobs.get(picture.jobId)
          return (
            <li key={picture.key} class={picture.dataId.obsid === null ? 'combined' : ''}>
              <button
                type="button"
                onClick={() => open({ title, first: picture.key, isBlinking: false })}
                aria-label={`enlarge ${picture.name}`}
              >
                <img src={pictureUrl(picture)} alt={picture.name} loading="lazy" />
              </button>
              <span>
                <Actor address={`job.${picture.jobId}`}>{picture.name}</Actor>{' '}
                {job && jobTone(job) !== 'good' && <Chip tone={jobTone(job)}>{jobWord(job)}</Chip>}
              </span>
              {job && <span class="muted">{caption(job)}</span>}
            </li>
          )
        })}
      </ul>
      {pictures.length > PICTURES_MAX && (
        <p class="more">
          and {pictures.length - PICTURES_MAX} more; <a href="#/focal">the focal plane</a> shows every detector
        </p>
      )}
    </Section>
  )
}

function caption({ context: { metrics, pipeline } }: JobRecord): string {
  const words = metrics.slice(0, 3).flatMap(({ metric, value, unit }) => {
    return typeof value === 'number'
      ? [`${metric.split('.').at(-1)} ${Number(value.toPrecision(3))}${unit === '' ? '' : ` ${unit}`}`]
      : []
  })
  return [pipeline.name, ...words].join(' · ')
}
