/**
 * What `ocps journal` does. Checking and exporting only read and take no lease, so an instance that runs does not
 * notice; renewing takes its name for that moment, so that none runs.
 */
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { hostname } from 'node:os'
import type { Bus, LeaseResult } from '../bus/port.ts'
import { streams } from '../contract/subjects.ts'
import { blankMark } from '../engine/blank.ts'
import { highestJobIn } from '../executor/directory.ts'
import { readLastSaid } from '../sinks/nats/feed.ts'
import { type Entry, isMark } from '../journal/entry.ts'
import { ENTRIES_PER_MESSAGE_MAX, openJournal, type OpenedJournal } from '../journal/log.ts'
import { writeRecording } from '../journal/recording.ts'
import { type Damage, survey } from '../journal/survey.ts'
import { LEASE_MS } from '../instance/standby.ts'
import { eventsStream } from '../instance/putTogether.ts'
import { connect } from '../settings/connect.ts'
import { UserError } from '../userError.ts'
import { EXIT } from './exitCodes.ts'
import { moment, table } from './format.ts'
import type { JournalCliOptions } from './journalOptions.ts'
import { createOutput } from './output.ts'
import { checkInstance, mustExist, ownServer, serverOf } from './recording.ts'

export async function check(options: JournalCliOptions): Promise<void> {
  const out = createOutput(options.json === true)
  await withJournal(options, async (opened, bus) => {
    const seen = createSummary()
    for await (const _ of seen.watch(opened));
    const summary = await seen.of(opened)
    const { stream, entries, messages, foreign, damages, leftOut, starts } = summary
    const rows = [
      ['journal', `${stream} at ${bus.server.url}`],
      ['entries', entries.text],
      ['messages', `${messages}, and ${foreign} that no journal wrote, passed over`],
      ...leftOut.map(text => ['left out', text]),
      ...damages.map(({ code, sentence }) => [out.paint('bad', `JOURNAL_${code}`), sentence]),
      ['verdict', verdict(damages, starts)],
    ]
    out.say(table(rows), { ...summary, entries: entries.facts })
    process.exitCode = damages.length > 0 ? EXIT.FAILED : EXIT.DONE
  })
}

export async function exportAll(file: string, options: JournalCliOptions): Promise<void> {
  const out = createOutput(options.json === true)
  await withJournal(options, async opened => {
    const seen = createSummary()
    await writeRecording(seen.watch(opened), file)
    const { entries, damages } = await seen.of(opened)
    for (const { code, sentence } of damages) process.stderr.write(`ocps: JOURNAL_${code}: ${sentence}\n`)
    out.say(`${file} holds ${entries.text}`, { file, entries: entries.facts, damages })
  })
}

export async function renew(options: JournalCliOptions): Promise<void> {
  const { instance } = options
  const out = createOutput(options.json === true)
  await withJournal(options, async (opened, bus) => {
    const lease = await takeName(bus, instance)
    try {
      const { log, name } = opened
      const { entries, lostMessages } = await summaryOf(opened)
      const known = await highestKnown(bus, options, entries.facts.last)
      const from = known + lostMessages * ENTRIES_PER_MESSAGE_MAX + 1
      const what = `${name} at ${bus.server.url} holds ${entries.text}`
      if (options.yes !== true)
        throw new UserError(
          `${what}; renewing it removes them, forgets open jobs, groups and the shelf, and goes on with entry ${from}. Keep them with "ocps journal export FILE", then add --yes`,
        )
      await log.purge()
      const fresh = await openJournal({ bus, instance })
      await fresh.journal.append([
        { n: from, at: Date.now(), door: 'engine', from: 'engine', what: blankMark(instance) },
      ])
      out.say(`${what}; they are removed, and it goes on with entry ${from}`, {
        stream: name,
        removed: entries.facts,
        from,
      })
    } finally {
      await lease.release()
    }
  })
}

async function withJournal(
  options: JournalCliOptions,
  run: (opened: OpenedJournal, bus: Bus) => Promise<void>,
): Promise<void> {
  const { instance } = options
  checkInstance(instance)
  const undo: (() => Promise<void>)[] = []
  try {
    const nats = options.data === undefined ? serverOf(options) : await ownServer(options.data, undo)
    const bus = await connect({ nats }, 'ocps-journal')
    undo.push(() => bus.close())
    await mustExist(bus, instance)
    await run(await openJournal({ bus, instance }), bus)
  } finally {
    for (const one of undo.reverse()) await one()
  }
}

interface Summary {
  readonly stream: string
  readonly entries: { readonly facts: { count: number; first: number; last: number }; readonly text: string }
  readonly messages: number
  readonly foreign: number
  readonly damages: readonly Damage[]
  /** Numbers no entry has, before a mark that needs none of them. */
  readonly leftOut: readonly string[]
  /** Messages that were written and cannot be read. */
  readonly lostMessages: number
  /**
   * Whether an instance starts on it: damage before the newest mark does not matter to it, and where the end is lost it
   * goes on from what is left.
   */
  readonly starts: boolean
}

function createSummary() {
  const damages: Damage[] = []
  const leftOut: string[] = []
  let [count, messages, foreign] = [0, 0, 0]
  let first: Entry | null = null
  let last: Entry | null = null
  return {
    async *watch(opened: OpenedJournal): AsyncGenerator<Entry> {
      for await (const found of survey(opened, 'start')) {
        if (found.kind === 'damage') damages.push(found.damage)
        if (found.kind === 'foreign') foreign += 1
        if (found.kind !== 'entries') continue
        messages += 1
        for (const entry of found.entries) {
          if (last !== null && entry.n > last.n + 1 && isMark(entry.what))
            leftOut.push(`entries ${last.n + 1} to ${entry.n - 1}, before the mark at entry ${entry.n}`)
          first ??= entry
          last = entry
          count += 1
          yield entry
        }
      }
    },
    async of(opened: OpenedJournal): Promise<Summary> {
      const state = await opened.log.state()
      return {
        stream: opened.name,
        entries: {
          facts: { count, first: first?.n ?? 0, last: last?.n ?? 0 },
          text:
            first === null || last === null
              ? 'no entry that can be read'
              : `${count} entries, ${first.n} to ${last.n}, from ${moment(first.at)} to ${moment(last.at)}`,
        },
        messages,
        foreign,
        damages,
        leftOut,
        lostMessages: Math.max(0, state.last - messages - foreign),
        starts: damages.length === 0 || (await isReadable(opened)),
      }
    },
  }
}

async function summaryOf(opened: OpenedJournal): Promise<Summary> {
  const seen = createSummary()
  for await (const _ of seen.watch(opened));
  return await seen.of(opened)
}

async function isReadable({ journal }: OpenedJournal): Promise<boolean> {
  try {
    for await (const _ of journal.read('quiescent'));
    return true
  } catch {
    return false
  }
}

function verdict(damages: readonly Damage[], starts: boolean): string {
  if (damages.length === 0) return 'sound'
  if (damages.some(({ code }) => code === 'NEWER')) return 'a newer OCPS wrote it; run that one'
  return starts
    ? 'damaged, and an instance starts on what is left'
    : 'damaged; no instance starts on it. Keep what can be read with "ocps journal export FILE", then "ocps journal renew"'
}

/** Job ids are made of entry numbers: the highest that the journal, the events or the jobs' directories know of. */
async function highestKnown(bus: Bus, { instance, data, loaded }: JournalCliOptions, lastN: number): Promise<number> {
  const retained = await bus.retained(eventsStream(instance, loaded.settings.retention.eventsDays))
  const { numbersAfter } = await readLastSaid(retained, instance, lastN)
  const inWorkDir = data === undefined ? 0 : await highestJobIn(join(resolve(data), 'work'))
  return Math.max(lastN, numbersAfter, inWorkDir)
}

const AGAIN_MS = 200

/** Waits out the lease of a holder that died. Throws UserError while one lives. */
async function takeName(bus: Bus, instance: string): Promise<Extract<LeaseResult, { held: true }>> {
  const deadline = performance.now() + LEASE_MS + 1_000
  const holder = `ocps journal renew, process ${process.pid} on ${hostname()}`
  for (;;) {
    const result = await bus.lease({ name: streams(instance).lease, holder, ttlMs: LEASE_MS, onLost: () => {} })
    if (result.held) return result
    if (performance.now() > deadline)
      throw new UserError(`${instance} is running: ${result.holder}; stop it first, then renew its journal`)
    await delay(AGAIN_MS)
  }
}
