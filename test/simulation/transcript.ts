import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Input } from '../../machines/domain/messages.ts'
import { createWorld, type Effect } from '../../src/engine/world.ts'
import { createLineReader } from '../../src/journal/lines.ts'
import type { Played } from './play.ts'
import { INSTANCE } from './site.ts'
import { PROMISES } from './violation.ts'

/**
 * A night that broke a promise, written for a person: what was done, what was journaled, what followed, and how to play
 * it again.
 */
export function transcriptOf(played: Played, steps: number): string {
  const { seed, kind, violation, actions } = played
  const promise = violation?.promise ?? 'all ends'
  return [
    `Seed ${seed} (${kind === 'whole' ? 'the engine itself' : 'the world stepped directly'}): ${promise}.`,
    `  Promised: ${PROMISES[promise]}`,
    `  Found:    ${violation?.evidence ?? ''}`,
    `  Again:    npm run simulate -- --seeds 1 --from ${seed} --steps ${steps} --kind ${kind}`,
    '',
    `What it takes, ${actions.length} actions:`,
    ...actions.map(({ name, index, choices }) => `  ${String(index).padStart(5)}  ${name} ${choices.join(' ')}`),
    '',
    'The journal, and what followed from each entry:',
    ...journalOf(played),
    '',
  ].join('\n')
}

/** Where it was written. */
export function keepTranscript(played: Played, steps: number): string {
  const path = join(mkdtempSync(join(tmpdir(), 'ocps-simulation-')), `seed-${played.seed}.txt`)
  writeFileSync(path, transcriptOf(played, steps))
  return path
}

// The end is what matters; a shrunk night is shorter than this.
const ENTRIES_MAX = 400

function journalOf({ lines }: Played): string[] {
  const world = createWorld({ instance: INSTANCE })
  const reader = createLineReader()
  const told: string[] = []
  for (const line of lines()) {
    const entry = reader.read(line, 'The journal of the simulation')
    const time = new Date(entry.at).toISOString().slice(11, 23)
    told.push(`  ${String(entry.n).padStart(5)}  ${time}  ${entry.from.padEnd(9)} ${inBrief(entry.what)}`)
    try {
      for (const effect of world.apply(entry)) told.push(`${' '.repeat(24)}→ ${followed(effect)}`)
    } catch (error) {
      told.push(`${' '.repeat(24)}→ it threw ${String(error)}`)
    }
  }
  return told.slice(-ENTRIES_MAX)
}

function inBrief(what: Input): string {
  const { type, ...rest }: Record<string, unknown> & { type: string } = { ...what }
  if (NOTES.has(type)) return type
  const { loaded: _loaded, usage: _usage, caller, ...told } = rest
  const id = typeof caller === 'object' && caller !== null && 'id' in caller ? ` id=${String(caller.id)}` : ''
  const fields = Object.entries(told).filter(([, value]) => value !== null && value !== '' && !isEmpty(value))
  return `${type}${id} ${fields.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(' ')}`.slice(0, 240)
}

// What they hold is long, and follows from what was there.
const NOTES: ReadonlySet<string> = new Set(['engine.quiescent', 'engine.checkpoint', 'engine.started', 'engine.said'])

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

function followed(effect: Effect): string {
  if (effect.do === 'order') {
    const { order } = effect
    return `${order.type} ${'jobId' in order ? order.jobId : order.sensors.length}${'attempt' in order ? ` attempt ${order.attempt}` : ''}`
  }
  const { announcement } = effect
  switch (announcement.type) {
    case 'ack':
      return `ack ${announcement.caller.id} ${announcement.body.ack} ${announcement.body.result}`.slice(0, 200)
    case 'telemetry':
      return `${announcement.topic} of ${announcement.jobId}`
    case 'event': {
      const { topic, key, body } = announcement
      const said =
        'state' in body ? body.state : 'outcome' in body ? JSON.stringify(body.outcome) : JSON.stringify(body)
      return `${topic} ${key ?? ''} ${said}`.slice(0, 200)
    }
  }
}
