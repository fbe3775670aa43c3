import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { toLine } from '../../src/journal/lines.ts'
import { readRecording, streamRecording, writeRecording } from '../../src/journal/recording.ts'
import { collect } from '../bus/messages.ts'
import { rejection } from '../bus/eventually.ts'
import { entries, entryOf } from './contract.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ocps-recording-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

describe('a recording', () => {
  it.each(['night.ndjson', 'night.ndjson.gz'])('written to %s reads back as it was', async name => {
    const path = join(folder, name)
    expect(await writeRecording(entries(1, 5000), path)).toBe(5000)
    expect(await collect(readRecording(path))).toEqual(entries(1, 5000))
    expect(await readdir(folder)).toEqual([name])
  })

  it('is one entry per line, compressed if its name ends in .gz', async () => {
    await writeRecording(entries(1, 3), join(folder, 'plain'))
    await writeRecording(entries(1, 3), join(folder, 'packed.gz'))
    const expected = `${entries(1, 3).map(toLine).join('\n')}\n`
    expect(await readFile(join(folder, 'plain'), 'utf8')).toBe(expected)
    expect(gunzipSync(await readFile(join(folder, 'packed.gz'))).toString()).toBe(expected)
  })

  it('of nothing is an empty file, and reads as nothing', async () => {
    const path = join(folder, 'empty')
    expect(await writeRecording([], path)).toBe(0)
    expect(await collect(readRecording(path))).toEqual([])
  })

  it('that cannot be finished leaves no file', async () => {
    const failing = (function* () {
      yield entryOf(1)
      throw new Error('the journal went away')
    })()
    expect(await rejection(writeRecording(failing, join(folder, 'night')))).toMatchObject({
      message: 'the journal went away',
    })
    expect(await readdir(folder)).toEqual([])
  })

  it('goes to a stream that stays open', async () => {
    const stream = new PassThrough()
    const read = text(stream)
    expect(await streamRecording(entries(1, 2), stream)).toBe(2)
    stream.end('more\n')
    expect(await read).toBe(`${entries(1, 2).map(toLine).join('\n')}\nmore\n`)
  })

  it('that is damaged says in which file and line', async () => {
    const path = join(folder, 'night')
    const damages: [string, string, string][] = [
      [`${toLine(entryOf(1))}\n{"n":2,"at"\n`, 'line 2, is not JSON', 'BROKEN'],
      [`${toLine(entryOf(1))}\n${toLine(entryOf(1))}\n`, 'line 2, holds entry 1 where entry 2 must follow', 'HOLE'],
      [`${toLine(entryOf(1))}\n\n`, 'line 2, is not JSON', 'BROKEN'],
      [toLine(entryOf(2)), 'line 1, holds entry 2 where entry 1 must follow', 'NO_BEGINNING'],
    ]
    for (const [content, said, code] of damages) {
      await writeFile(path, content)
      const error = await rejection(collect(readRecording(path)))
      expect(error).toMatchObject({ code })
      expect(String(error)).toContain(`${path}, ${said}`)
    }
  })

  it('that is not there, or not what its name says, is an error and not a wait', async () => {
    expect(await rejection(collect(readRecording(join(folder, 'none.gz'))))).toMatchObject({
      code: 'BROKEN',
      message: expect.stringContaining('none.gz'),
    })
    await writeFile(join(folder, 'torn.gz'), 'not compressed')
    expect(await rejection(collect(readRecording(join(folder, 'torn.gz'))))).toMatchObject({
      code: 'BROKEN',
      message: expect.stringContaining('torn.gz'),
    })
  })
})
