import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { startEmbeddedServer } from '../bus/embedded.ts'
import type { Bus } from '../bus/port.ts'
import { findServers } from '../client/servers.ts'
import { INSTANCE_PATTERN, streams } from '../contract/subjects.ts'
import { entriesIn, type Range, rangeOfDay } from '../replay/range.ts'
import { type Entry, isMark } from '../journal/entry.ts'
import { openJournal } from '../journal/log.ts'
import { streamRecording, writeRecording } from '../journal/recording.ts'
import { connect, justUrl } from '../settings/connect.ts'
import type { NatsSettings } from '../settings/schema.ts'
import { UserError } from '../userError.ts'
import { moment } from './format.ts'
import type { RecordOptions } from './recordOptions.ts'

/**
 * Exports a journal. Reads and nothing else: it appends no entry and takes no lease, so an instance that runs does not
 * notice. What it wrote it says on standard error, so that standard output is the recording alone.
 */
export async function record(options: RecordOptions): Promise<void> {
  const { instance, output, gzip = false } = options
  const range = rangeOf(options)
  checkInstance(instance)
  if (gzip && output !== undefined && !output.endsWith('.gz'))
    throw new UserError(`--gzip with -o ${output}: name the file ${output}.gz, which compresses it`)
  const undo: (() => Promise<void>)[] = []
  try {
    const nats = options.data === undefined ? serverOf(options) : await ownServer(options.data, undo)
    const bus = await connect({ nats }, 'ocps-record')
    undo.push(() => bus.close())
    await mustExist(bus, instance)
    const { journal } = await openJournal({ bus, instance })
    const seen = createSummary()
    const entries = seen.watch(entriesIn(journal, range))
    if (output !== undefined) await writeRecording(entries, output)
    else if (gzip) await toGzippedOutput(entries)
    else await streamRecording(entries, process.stdout)
    process.stderr.write(`${seen.text(instance, output)}\n`)
  } finally {
    for (const one of undo.reverse()) await one()
  }
}

export function checkInstance(instance: string): void {
  if (!INSTANCE_PATTERN.test(instance))
    throw new UserError(`the instance name ${JSON.stringify(instance)} must be 1 to 32 letters, digits, _ or -`)
}

/**
 * The server of an instance: the one named, NATS_URL, or the one of an `ocps serve` started here or above. Throws
 * UserError.
 */
export function serverOf({ instance, loaded }: Pick<RecordOptions, 'instance' | 'loaded'>): NatsSettings {
  const found = findServers(loaded.settings.nats, instance)
  if (found !== null) return found.nats
  throw new UserError(
    `no server is known for ${instance}: name it with --url or NATS_URL, or with --data the directory of an instance that had its own`,
  )
}

export async function ownServer(data: string, undo: (() => Promise<void>)[]): Promise<NatsSettings> {
  const storeDir = join(resolve(data), 'nats')
  if (!existsSync(storeDir))
    throw new UserError(`there is no ${storeDir}; --data is the directory that serve was given, .ocps unless said`)
  const server = await startEmbeddedServer({ storeDir, cacheDir: join(resolve(data), 'cache') })
  undo.push(() => server.stop())
  return justUrl(server.url)
}

// A server answers this from memory.
const INFO_MS = 5_000

/** Opening a journal that does not exist would create an empty one; a slip of the finger must not. */
export async function mustExist(bus: Bus, instance: string): Promise<void> {
  const stream = streams(instance).journal
  const { body } = await bus.request(`$JS.API.STREAM.INFO.${stream}`, '', { timeoutMs: INFO_MS })
  const { error } = JSON.parse(new TextDecoder().decode(body)) as { error?: { description?: string } }
  if (error)
    throw new UserError(
      `there is no journal of an instance ${instance} at ${bus.server.url} (${error.description ?? 'no reason given'}); name the instance with --instance`,
    )
}

async function toGzippedOutput(entries: AsyncIterable<Entry>): Promise<void> {
  const gzip = createGzip()
  const written = pipeline(gzip, process.stdout, { end: false })
  await streamRecording(entries, gzip)
  gzip.end()
  await written
}

function rangeOf({ day, from, to }: RecordOptions): Range {
  if (day === undefined) {
    const range = { from: timeOf('--from', from), to: timeOf('--to', to) }
    if (range.from !== null && range.to !== null && range.to <= range.from)
      throw new UserError(`--to ${to} is not after --from ${from}`)
    return range
  }
  if (from !== undefined || to !== undefined) throw new UserError('name a --day, or --from and --to, not both')
  const range = rangeOfDay(day)
  if (range === null) throw new UserError(`--day ${day} is no day; one is written 20261122`)
  return range
}

function timeOf(option: string, text: string | undefined): number | null {
  if (text === undefined) return null
  // Without a zone it would be the zone of whoever types it.
  const hasZone = /(Z|[+-]\d{2}:?\d{2})$/.test(text)
  const at = Date.parse(hasZone || !text.includes('T') ? text : `${text}Z`)
  if (Number.isNaN(at)) throw new UserError(`${option} ${text} is no time; one is written 2026-11-22T22:00:00Z`)
  return at
}

function createSummary() {
  let count = 0
  let first: Entry | null = null
  let last: Entry | null = null
  const machines = new Set<string>()
  return {
    async *watch(entries: AsyncIterable<Entry>): AsyncGenerator<Entry> {
      for await (const entry of entries) {
        count += 1
        first ??= entry
        last = entry
        if (entry.what.type === 'engine.started') machines.add(entry.what.versions.machines)
        if (isMark(entry.what)) machines.add(entry.what.machines)
        yield entry
      }
    },
    text(instance: string, output: string | undefined): string {
      if (first === null || last === null)
        return `ocps: the journal of ${instance} holds no entry in this range; nothing was recorded`
      const where = output === undefined ? '' : ` to ${output}`
      return `ocps: recorded ${count} entries of ${instance}${where}, ${first.n} to ${last.n}, from ${moment(first.at)} to ${moment(last.at)}, machines ${[...machines].join(', ') || 'unknown'}`
    },
  }
}
