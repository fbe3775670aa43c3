import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { MACHINES_VERSION } from '../../machines/index.ts'
import { instanceOf, type Named } from '../replay/instanceOf.ts'
import { type Difference, replay, type Replayed, ReplayError } from '../replay/replay.ts'
import { JournalError } from '../journal/port.ts'
import { readRecording } from '../journal/recording.ts'
import { UserError } from '../userError.ts'
import { EXIT, type ExitCode } from './exitCodes.ts'
import { duration, moment } from './format.ts'
import { createOutput } from './output.ts'
import type { ReplayOptions } from './replayOptions.ts'

/**
 * Replays a recording and says whether this version says the same. `named` is the instance if the user named one, else
 * the recording is asked. Resolves with 0 for identical, 1 for a difference. Throws UserError for a recording that is
 * none.
 */
export async function compare(path: string, named: string | null, options: ReplayOptions): Promise<ExitCode> {
  const out = createOutput(options.json === true)
  const { instance, certain } = await nameOf(path, named)
  const events = options.events === undefined ? null : createLines(options.events)
  const replayed = await readably(path, () =>
    replay({
      open: () => readRecording(path),
      instance,
      ...(events && { onSaid: ({ id, at, announcement }) => events.write({ id, at, ...announcement }) }),
    }),
  )
  await events?.close()
  out.say(inText(replayed, path, certain), { recording: path, ...replayed })
  return replayed.difference === null ? EXIT.DONE : EXIT.FAILED
}

/** The name of the instance that wrote a recording. Throws UserError. */
export async function nameOf(path: string, named: string | null): Promise<Named> {
  if (named !== null) return { instance: named, certain: true }
  const found = await readably(path, () => instanceOf(readRecording(path)))
  // A recording in which nobody asks for anything says nothing of its instance's name either.
  return found ?? { instance: 'LATISS', certain: false }
}

/** What goes wrong with a recording is said in a sentence that names file and line. */
export async function readably<T>(path: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof JournalError) throw new UserError(error.message)
    if (error instanceof ReplayError) throw new UserError(`${path}: ${error.message}`)
    throw error
  }
}

function inText(replayed: Replayed, path: string, certain: boolean): string {
  const { entries, announcements, compared, notCovered, from, to, difference, instance, elapsedMs } = replayed
  if (entries === 0) return `${path} holds no entries; there is nothing to replay`
  const speed = `${entries} entries in ${duration(elapsedMs)}, ${Math.round(entries / (elapsedMs / 1_000))} a second`
  const about = [
    `  recorded    ${moment(from)} to ${moment(to)} by instance ${instance}${certain ? '' : ' (guessed; --instance names it)'}`,
    `  machines    ${versions(replayed)}`,
    `  replayed    ${speed}; ${announcements} announcements`,
    `  compared    ${compared} entries with what was said then${notCovered > 0 ? `; of the last ${notCovered} that said something no digests were written down` : ''}`,
  ].join('\n')
  if (difference !== null) return `different at entry ${difference.n}\n${inDetail(difference)}\n${about}`
  return compared === 0
    ? `nothing to compare: the recording holds no digests of what was said; an instance writes them every 500 entries and when it stops\n${about}`
    : `identical\n${about}`
}

function versions({ writtenBy, replayedBy }: Replayed): string {
  const by = writtenBy.join(', then ') || 'unknown'
  const isSame = writtenBy.length === 1 && writtenBy[0] === MACHINES_VERSION
  return isSame ? `${by}, the same as here` : `${by}; replayed by ${replayedBy}`
}

function inDetail({ at, heard, actors, says, recorded, now }: Difference): string {
  const list = (lines: readonly string[], none: string) =>
    (lines.length === 0 ? [none] : lines).map(line => `    ${line}`).join('\n')
  return `  at          ${moment(at)}
  came in     ${heard}
  heard by
${list(actors, 'nobody')}
  this version says there
${list(says, 'nothing')}
  digest      ${recorded ?? 'none (nothing was said)'} then, ${now ?? 'none (nothing is said)'} now`
}

function createLines(path: string): { write(line: object): void; close(): Promise<void> } {
  const file = createWriteStream(path)
  const failed = once(file, 'error').then(([error]) => {
    throw new UserError(`${path} cannot be written: ${error instanceof Error ? error.message : String(error)}`)
  })
  failed.catch(() => {})
  // Gathered, because a write per line would cost more than the line.
  let text = ''
  return {
    write(line) {
      text += `${JSON.stringify(line)}\n`
      if (text.length < CHUNK) return
      file.write(text)
      text = ''
    },
    async close() {
      file.end(text)
      await Promise.race([once(file, 'close'), failed])
    },
  }
}

// Bytes handed to the file at once.
const CHUNK = 1 << 20
