// The live page of the demo: a model and a moment in, lines out. Pure and width-aware (80 columns at least); putting it
// on a terminal is screen.ts's.

import type { Exposure, Job, Model } from './model.ts'
import type { StoryLine } from './story.ts'
import { bar, cut, left, type Paint, quantity, right, seconds } from './text.ts'
import { numberOf } from './wire.ts'

export interface Frame {
  /** Milliseconds since 1970 UTC. */
  readonly now: number
  /** Characters per line; less than 80 is taken as 80. */
  readonly width: number
  readonly paint: Paint
}

export const WIDTH_MIN = 80
/** Wider than this a row is hard to follow with the eye. */
const WIDTH_MAX = 116
/** Enough to follow, few enough to stay on a small terminal with five exposures. */
const STORY_LINES = 6

export function render(model: Model, frame: Frame): string[] {
  const width = Math.max(WIDTH_MIN, Math.min(WIDTH_MAX, frame.width)) - 1
  const at = { ...frame, width }
  return [
    headline(model, at),
    frame.paint.dim(' Each exposure is measured while the next is taken; then all are combined.'),
    '',
    ...table(model, at),
    '',
    ...summary(model, at),
    '',
    ...story(model.story, model, at),
  ]
}

export function headline({ instance, summaryState, began }: Model, { now, width, paint }: Frame): string {
  const elapsed = seconds(now - began)
  const name = ` OCPS ${instance} `
  const state = left(summaryState, Math.max(0, width - name.length - elapsed.length))
  return paint.bold(name) + (summaryState === 'ENABLED' ? paint.good(state) : paint.busy(state)) + elapsed
}

function table(model: Model, frame: Frame): string[] {
  const { paint, width } = frame
  const columns = columnsOf(width)
  const header = ` ${left('exposure', 20)}  ${left('image', 8)}  ${left('quicklook', columns.bar + 9)} ${right('FWHM', 9)} ${right('background', 10)} ${right('stars', 6)}`
  const waiting = Math.max(0, model.plan.exposures - model.exposures.length)
  return [
    paint.dim(columns.noise ? `${header} ${right('noise', 9)}` : header),
    ...model.exposures.map(exposure => row(exposure, model, frame)),
    ...Array.from({ length: waiting }, () => paint.dim(` ${left('·', 20)}`)),
  ]
}

function columnsOf(width: number): { bar: number; noise: boolean } {
  const spare = width - (WIDTH_MIN - 1)
  const noise = spare >= 10
  return { bar: 9 + Math.min(17, spare - (noise ? 10 : 0)), noise }
}

function row(exposure: Exposure, model: Model, frame: Frame): string {
  const { paint, width } = frame
  const columns = columnsOf(width)
  const { obsid, job } = exposure
  const metrics = job?.metrics ?? {}
  const numbers = [
    right(quantity(numberOf(metrics, 'psf.fwhm'), 2, 'pix'), 9),
    right(quantity(numberOf(metrics, 'background.level'), 0, 'adu'), 10),
    right(quantity(numberOf(metrics, 'stars.count'), 0, ''), 6),
    ...(columns.noise ? [right(quantity(numberOf(metrics, 'background.noise'), 1, 'adu'), 9)] : []),
  ]
  return ` ${paint.name(left(obsid, 20))}  ${image(exposure, model, frame)}  ${progress(job, columns.bar, paint)} ${numbers.join(' ')}`.trimEnd()
}

/** The camera's part: how far the exposure is, then where the image is. */
function image({ image: state, begun, exposureTime }: Exposure, { plan }: Model, { now, paint }: Frame): string {
  switch (state) {
    case 'exposing': {
      const elapsed = ((now - begun) / 1000) * plan.pace
      return elapsed < exposureTime ? paint.busy(bar(elapsed / exposureTime, 8)) : paint.busy(left('reading', 8))
    }
    case 'read out':
      return paint.busy(left('read out', 8))
    case 'in OODS':
      return paint.good(left('ingested', 8))
  }
}

/** A bar and a word of 8, with a space between. */
function progress(job: Job | null, width: number, paint: Paint): string {
  if (job === null) return ' '.repeat(width + 9)
  if (job.result === null) {
    const word = left(job.state, 8)
    return `${job.state === 'running' ? paint.busy(bar(job.fraction, width)) : paint.dim(bar(job.fraction, width))} ${paint.busy(word)}`
  }
  const { kind } = job.result.outcome
  if (kind !== 'succeeded') return paint.bad(`${bar(job.fraction, width)} ${left(kind, 8)}`)
  return paint.good(`${bar(1, width)} ${left('done', 8)}`)
}

function summary(model: Model, frame: Frame): string[] {
  const { paint, width } = frame
  const columns = columnsOf(width)
  const jobs = [...model.exposures.flatMap(({ job }) => (job ? [job] : [])), ...(model.stack ? [model.stack] : [])]
  const count = (...states: string[]): number => jobs.filter(job => states.includes(job.state)).length
  const label = (text: string): string => paint.dim(` ${left(text, 7)}`)
  const settled = model.exposures.filter(({ job }) => job?.result).length
  const indent = 2 + columns.bar
  const groupBar = bar(model.plan.exposures === 0 ? 0 : settled / model.plan.exposures, columns.bar)
  return [
    `${label('queue')} ${left(`${count('starting', 'running')} running`, indent)}${count('queued', 'held')} waiting   ${count('settled')} done`,
    `${label('group')} ${settled >= model.plan.exposures ? paint.good(groupBar) : paint.busy(groupBar)}  ${settled} of ${model.plan.exposures} measured${groupWord(model)}`,
    `${label('stack')} ${stackLine(model, columns.bar, width - 9, paint)}`,
  ]
}

function groupWord({ groupState, group }: Model): string {
  return groupState === null ? '' : `, ${groupState.state}   ${group ?? ''}`
}

function stackLine({ stack, groupResult }: Model, width: number, room: number, paint: Paint): string {
  if (stack === null) return paint.dim(`${bar(0, width)}  waits for the group`)
  const depth = numberOf(stack.metrics, 'stack.depthGain')
  const note =
    groupResult === null
      ? stack.note || stack.state
      : depth === null
        ? groupResult.message
        : `${depth.toFixed(2)} mag deeper than one exposure`
  const text = cut(note, Math.max(0, room - width - 2))
  if (stack.result === null) return `${paint.busy(bar(stack.fraction, width))}  ${text}`
  return stack.result.outcome.kind === 'succeeded'
    ? `${paint.good(bar(1, width))}  ${paint.bold(text)}`
    : `${paint.bad(bar(stack.fraction, width))}  ${paint.bad(text)}`
}

function story(lines: readonly StoryLine[], { began }: Model, frame: Frame): string[] {
  const last = lines.slice(-STORY_LINES)
  return Array.from({ length: STORY_LINES }, (_, index) => {
    const line = last[index]
    return line === undefined ? '' : told(line, began, frame)
  })
}

/** Narrower than this, sentences name an exposure by its number alone: the table above has the whole name. */
const WHOLE_NAMES_FROM = 100

/** One line of the story: when, who, what. */
export function told({ at, who, text }: StoryLine, began: number, { width, paint }: Frame): string {
  const when = right(seconds(at - began), 7)
  const named = width < WHOLE_NAMES_FROM ? text.replaceAll(/\b[A-Z]+_O_\d{8}_0*(\d+)/gu, '#$1') : text
  return `${paint.dim(when)}  ${paint.name(left(who, 6))}  ${cut(named, Math.max(0, width - 17))}`
}
