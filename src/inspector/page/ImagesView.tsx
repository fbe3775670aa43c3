/// <reference lib="dom" />
/** Previews by group, the combined image first; one at a time large, with its neighbours at the same place for blinking. */
import { useEffect, useState } from 'preact/hooks'
import type { JobRecord, Night } from '../night.ts'
import { Actor, Chip, dataName, Empty, fileUrl, jobTone, jobWord, Section } from './parts.tsx'
import { night, source, version } from './store.ts'

interface Picture {
  readonly url: string
  readonly job: JobRecord
  readonly name: string
}

interface Set {
  readonly title: string
  readonly pictures: readonly Picture[]
}

// What a browser scrolls through without effort; images load when they come into view.
const SETS_MAX = 20

// Twice a second shows what moves between two exposures.
const BLINK_MS = 500

export function ImagesView() {
  void version.value
  const [open, setOpen] = useState<{ set: Set; index: number } | null>(null)
  if (source.value !== 'live')
    return (
      <Section title="Images">
        <Empty>A recording holds what was said of images, not the images themselves.</Empty>
      </Section>
    )
  const sets = setsOf(night())
  return (
    <div>
      {sets.length === 0 && (
        <Section title="Images">
          <Empty>No job has made a preview yet.</Empty>
        </Section>
      )}
      {sets.slice(0, SETS_MAX).map(set => (
        <Section key={set.title} title={set.title} note={set.pictures.length}>
          <ul class="pictures">
            {set.pictures.map(({ url, name, job }, index) => (
              <li key={url}>
                <button type="button" onClick={() => setOpen({ set, index })} aria-label={`enlarge ${name}`}>
                  <img src={url} alt={name} loading="lazy" />
                </button>
                <span>
                  <Actor address={`job.${job.jobId}`}>{name}</Actor>{' '}
                  {jobTone(job) !== 'good' && <Chip tone={jobTone(job)}>{jobWord(job)}</Chip>}
                </span>
                <span class="muted">{caption(job)}</span>
              </li>
            ))}
          </ul>
        </Section>
      ))}
      {open && <Large key={open.set.title} set={open.set} first={open.index} close={() => setOpen(null)} />}
    </div>
  )
}

function setsOf(tonight: Night): Set[] {
  const sets = new Map<string, Picture[]>()
  for (const job of tonight.jobs.values()) {
    const { group, obsid } = job.context.dataId
    const title = group === null ? 'Without a group' : `Group ${group}`
    for (const { dataset, path, mime } of job.context.datasets) {
      if (!mime.startsWith('image/')) continue
      const name =
        obsid === null ? `combined (${dataset})` : dataset === 'preview' ? dataName(job) : `${dataName(job)} ${dataset}`
      const picture = { url: fileUrl(job.jobId, path), job, name }
      const set = sets.get(title) ?? []
      sets.set(title, obsid === null ? [picture, ...set] : [...set, picture])
    }
  }
  return [...sets].map(([title, pictures]) => ({ title, pictures })).reverse()
}

function caption({ context: { metrics, pipeline } }: JobRecord): string {
  const words = metrics.slice(0, 3).flatMap(({ metric, value, unit }) => {
    return typeof value === 'number'
      ? [`${metric.split('.').at(-1)} ${Number(value.toPrecision(3))}${unit === '' ? '' : ` ${unit}`}`]
      : []
  })
  return [pipeline.name, ...words].join(' · ')
}

function Large({ set: { title, pictures }, first, close }: { set: Set; first: number; close: () => void }) {
  const [index, setIndex] = useState(first)
  const [zoom, setZoom] = useState(1)
  const [isBlinking, setBlinking] = useState(false)
  const step = (by: number) => setIndex(before => (before + by + pictures.length) % pictures.length)
  useEffect(() => {
    const press = ({ key }: KeyboardEvent) => {
      if (key === 'Escape') close()
      if (key === 'ArrowRight') step(1)
      if (key === 'ArrowLeft') step(-1)
      if (key === 'b') setBlinking(before => !before)
      if (key === '+') setZoom(before => Math.min(8, before * 2))
      if (key === '-') setZoom(before => Math.max(1, before / 2))
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  }, [])
  useEffect(() => {
    if (!isBlinking) return
    const timer = setInterval(() => step(1), BLINK_MS)
    return () => clearInterval(timer)
  }, [isBlinking])
  const shown = pictures[index]
  return (
    <div class="large" role="dialog" aria-modal="true" aria-label={`images of ${title}`}>
      <div class="large-head">
        <b>{shown?.name}</b>
        <span class="muted">
          {index + 1} of {pictures.length}
        </span>
        <button type="button" onClick={() => step(-1)} aria-label="previous image">
          ←
        </button>
        <button type="button" onClick={() => step(1)} aria-label="next image">
          →
        </button>
        <button type="button" aria-pressed={isBlinking} onClick={() => setBlinking(!isBlinking)}>
          Blink
        </button>
        <button type="button" onClick={() => setZoom(zoom >= 8 ? 1 : zoom * 2)}>
          {zoom} ×
        </button>
        <button type="button" onClick={close} autofocus>
          Close
        </button>
      </div>
      <div class="stage">
        {/* All at the same place, one visible: blinking loads nothing and nothing moves. */}
        {pictures.map(({ url, name }, at) => (
          <img
            key={url}
            src={url}
            alt={at === index ? name : ''}
            style={{ visibility: at === index ? 'visible' : 'hidden', width: `${zoom * 100}%` }}
          />
        ))}
      </div>
    </div>
  )
}
