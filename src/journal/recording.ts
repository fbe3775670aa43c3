/**
 * A journal exported: one entry per line of JSON, compressed if the name ends in .gz, so that a night can be looked at
 * with grep and replayed anywhere. Promises that what is read is complete and in order, or an error naming file and
 * line.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { pipeline as join, Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import type { Entry } from './entry.ts'
import { createLineReader, toLine } from './lines.ts'
import { JournalError } from './port.ts'

/** Lines come from messages of at most one server payload, 1 MiB unless configured; longer ones are not a recording. */
const lineLengthMax = 16 * 1024 * 1024

/** Lines written at once: one at a time costs more in the stream than in the disk. */
const linesPerChunk = 256

type Entries = AsyncIterable<Entry> | Iterable<Entry>

/** Writes a recording; the file appears when it is complete. Returns how many entries it holds. */
export async function writeRecording(entries: Entries, path: string): Promise<number> {
  const aside = `${path}.part`
  const counted = { count: 0 }
  try {
    const chunks = Readable.from(toChunks(entries, counted))
    const file = createWriteStream(aside)
    await (path.endsWith('.gz') ? pipeline(chunks, createGzip(), file) : pipeline(chunks, file))
    await rename(aside, path)
    return counted.count
  } catch (error) {
    await rm(aside, { force: true })
    throw error
  }
}

/** Writes the lines to a stream such as standard output, and leaves it open. Returns how many. */
export async function streamRecording(entries: Entries, to: Writable): Promise<number> {
  const counted = { count: 0 }
  await pipeline(Readable.from(toChunks(entries, counted)), to, { end: false })
  return counted.count
}

/** Reads a recording. Throws JournalError BROKEN, naming file and line. */
export async function* readRecording(path: string): AsyncGenerator<Entry> {
  const reader = createLineReader()
  let number = 0
  for await (const lines of linesOf(path)) {
    for (const line of lines) {
      number += 1
      yield reader.read(line, `${path}, line ${number},`)
    }
  }
}

async function* toChunks(entries: Entries, counted: { count: number }): AsyncGenerator<string> {
  let lines: string[] = []
  for await (const entry of entries) {
    counted.count += 1
    lines.push(toLine(entry))
    if (lines.length < linesPerChunk) continue
    yield `${lines.join('\n')}\n`
    lines = []
  }
  if (lines.length > 0) yield `${lines.join('\n')}\n`
}

/**
 * Many at once: a turn of the event loop for each would take longer than reading it. Not node:readline, which waits for
 * ever when the stream below it fails.
 */
async function* linesOf(path: string): AsyncGenerator<readonly string[]> {
  let rest = ''
  const file = createReadStream(path)
  // The callback is the pipeline's due; the error itself arrives with the next chunk.
  const stream = path.endsWith('.gz') ? join(file, createGunzip(), () => {}) : file
  const decoder = new TextDecoder()
  try {
    for await (const chunk of stream) {
      const lines = (rest + decoder.decode(bytesOf(chunk), { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > lineLengthMax) throw new Error(`a line is longer than ${lineLengthMax} characters`)
      yield lines
    }
  } catch (error) {
    if (error instanceof JournalError) throw error
    throw new JournalError(
      'BROKEN',
      `The recording ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}.`,
    )
  }
  if (rest !== '') yield [rest]
}

function bytesOf(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk
  throw new Error('impossible: a file stream without encoding gave something other than bytes')
}
