import type { Announcement } from '../../machines/domain/announcements.ts'
import { sentAs } from '../../machines/domain/commands.ts'
import type { Order } from '../../machines/domain/messages.ts'
import type { Entry } from '../journal/entry.ts'
import type { Effect } from '../engine/world.ts'

/**
 * Entries and what follows from them as lines a person reads: for a difference in a replay and for transcripts. Short
 * by design; the whole is in the recording and in the events.
 */
export function inWords({ door, from, what }: Pick<Entry, 'door' | 'from' | 'what'>): string {
  if (what.type === 'command.processData') {
    const { dataId, detectors, pipeline, jobId, caller } = what
    const data = dataId.obsid ?? `group ${dataId.group ?? '-'}`
    const over = detectors.length === 0 ? '' : ` detectors ${detectors.join(',')}`
    return `${from} asks ${sentAs(what)} ${data}${over} with ${pipeline} (job ${jobId}, message ${caller.id})`
  }
  if (what.type === 'clock.due') return `timer ${what.timer} of ${what.address} comes due`
  if (what.type === 'engine.quiescent') return `engine notes that nothing is open (machines ${what.machines})`
  if (what.type === 'engine.checkpoint')
    return `engine notes all that is open (part ${what.part} of ${what.of}, machines ${what.machines})`
  if (what.type === 'engine.said') return `engine notes digests of ${what.digests.length} entries`
  if (what.type === 'engine.started')
    return `process ${what.pid} on ${what.host} begins (machines ${what.versions.machines}, OCPS ${what.versions.ocps})`
  const { type, ...rest } = what
  const fields = Object.entries(rest).filter(([name]) => !HIDDEN.has(name))
  // A metric without a unit has none to name.
  const text = fields.flatMap(([name, value]) => (value === '' ? [] : [`${name} ${shortly(value)}`])).join(', ')
  return `${from} ${door === 'command' ? 'asks' : 'says'} ${type.replace(/^command\./, '')}${text === '' ? '' : `: ${text}`}`
}

/** One line for each announcement and order, in order. */
export function saidInWords(effects: readonly Effect[]): string[] {
  return effects.map(effect =>
    effect.do === 'announce' ? announcementInWords(effect.announcement) : `order ${orderInWords(effect.order)}`,
  )
}

export function orderInWords(order: Order): string {
  return order.type === 'data.follow'
    ? `data.follow of ${order.sensors.length} sensors`
    : `${order.type} ${order.jobId}`
}

export function announcementInWords(said: Announcement): string {
  switch (said.type) {
    case 'ack':
      return `ack ${said.body.ack} to ${said.caller.id}: ${said.body.result}${said.body.jobIds.length > 0 ? ` (${said.body.jobIds.join(', ')})` : ''}`
    case 'telemetry':
      return `telemetry ${said.topic} of ${said.jobId}: ${shortly(said.body)}`
    case 'event':
      return `event ${said.topic}${said.key === null ? '' : ` ${said.key}`}: ${eventInWords(said)}`
  }
}

// What only programs read, or is long.
const HIDDEN: ReadonlySet<string> = new Set(['caller', 'loaded', 'usage', 'stderrTail'])
const SHORT_MAX = 120

function eventInWords(event: Extract<Announcement, { type: 'event' }>): string {
  switch (event.topic) {
    case 'jobState': {
      const { state, attempt, outcome, note } = event.body
      return `${state}${attempt > 1 ? `, attempt ${attempt}` : ''}${outcome === null ? '' : `, ${outcome}`}${note === '' ? '' : ` (${note})`}`
    }
    case 'jobResult':
      return `${event.body.outcome.kind}, ${event.body.outcome.message}`
    case 'groupState': {
      const { state, revision, accepted, settled, succeeded } = event.body
      return `${state}, revision ${revision}, ${accepted} accepted, ${settled} settled, ${succeeded} succeeded`
    }
    case 'groupResult':
      return `${event.body.outcome}, ${event.body.message}`
    case 'displayRequest': {
      const { image } = event.body
      return image === null ? 'nothing' : `${image.dataset} of job ${image.jobId}`
    }
    case 'summaryState':
    case 'errorCode':
    case 'logLevel':
    case 'simulationMode':
    case 'softwareVersions':
    case 'configurationsAvailable':
    case 'configurationApplied':
      return shortly(event.body)
  }
}

function shortly(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > SHORT_MAX ? `${text.slice(0, SHORT_MAX)}…` : text
}
