import { appendFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { LineReport } from '../../src/executor/reportLines.ts'
import { REPORTS_BYTES_MAX, REPORTS_MAX, reportsFile } from '../../src/executor/reportsFile.ts'

let directory: string
let heard: LineReport[]
const write = (text: string): void => appendFileSync(join(directory, 'reports.ndjson'), text)
const open = (heardBefore = 0) => reportsFile(directory, heardBefore, report => heard.push(report))
const readAll = (file: { poll(): boolean; finish(): void }): void => {
  while (file.poll());
  file.finish()
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ocps-reports-'))
  heard = []
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

test('a line that is still being written waits for its newline', () => {
  const file = open()
  write('{"verdict":"go')
  file.poll()
  expect(heard).toEqual([])
  write('od"}\n{"verdict":"b')
  file.poll()
  expect(heard).toEqual([{ type: 'executor.verdict', verdict: 'good' }])
  write('ad"}')
  readAll(file)
  expect(heard[1]).toEqual({ type: 'executor.verdict', verdict: 'bad' })
})

test('what was heard in an earlier life is not heard again, bad lines counted and blank ones not', () => {
  write('{"verdict":"1"}\n\nnonsense\n{"verdict":"3"}\n')
  readAll(open(2))
  expect(heard).toEqual([{ type: 'executor.verdict', verdict: '3' }])
})

test('a line of 10 MB is skipped, said once, and the next line is read', () => {
  write(`${'x'.repeat(10_000_000)}\n{"verdict":"fine"}\n`)
  readAll(open())
  expect(heard).toEqual([
    { type: 'executor.badReport', reason: 'a line of 10000000 bytes; at most 65536 are read' },
    { type: 'executor.verdict', verdict: 'fine' },
  ])
})

test('after too many reports one more says so, and nothing more is read', () => {
  write('{"progress":0.5}\n'.repeat(REPORTS_MAX + 500))
  readAll(open())
  expect(heard).toHaveLength(REPORTS_MAX + 1)
  expect(heard.at(-1)).toEqual({
    type: 'executor.badReport',
    reason: 'too many reports: those after the first 10000 are not read',
  })
})

test('a dataset is taken only when its file is there and inside the directory of the job', () => {
  writeFileSync(join(directory, 'a.png'), '')
  mkdirSync(join(directory, 'sub'))
  symlinkSync('../a.png', join(directory, 'sub/inside.png'))
  symlinkSync('/etc', join(directory, 'etc'))
  for (const path of ['a.png', 'sub/inside.png', 'etc/passwd', 'nothing.png'])
    write(`{"dataset":"d","path":"${path}"}\n`)
  readAll(open())
  expect(heard).toMatchObject([
    { type: 'executor.dataset', path: 'a.png' },
    { type: 'executor.dataset', path: 'sub/inside.png' },
    { type: 'executor.badReport', reason: "dataset d: etc/passwd leads out of the job's directory" },
    { type: 'executor.badReport', reason: expect.stringContaining('write the file before reporting it') },
  ])
})

test('a file that was begun anew is read from its beginning', () => {
  const file = open()
  write('{"verdict":"a longer one"}\n')
  file.poll()
  writeFileSync(join(directory, 'reports.ndjson'), '{"verdict":"new"}\n')
  readAll(file)
  expect(heard).toHaveLength(2)
})

test('of a sparse file that never ends so many bytes are read, and one more report says so', () => {
  write('{"verdict":"before"}\n')
  truncateSync(join(directory, 'reports.ndjson'), 2 * REPORTS_BYTES_MAX)
  readAll(open())
  expect(heard).toEqual([
    { type: 'executor.verdict', verdict: 'before' },
    { type: 'executor.badReport', reason: expect.stringContaining('too many bytes of reports') },
  ])
})

test('blank lines are no reports, and only so many are read', () => {
  write('\n'.repeat(100_000))
  const file = open()
  while (file.poll());
  expect(heard).toEqual([])
  write('\n{"verdict":"too late"}\n')
  readAll(file)
  expect(heard).toMatchObject([{ reason: expect.stringContaining('too many lines') }])
})

test('what is no regular file is not read, and one report says so', () => {
  symlinkSync('elsewhere.ndjson', join(directory, 'reports.ndjson'))
  writeFileSync(join(directory, 'elsewhere.ndjson'), '{"verdict":"not mine"}\n')
  readAll(open())
  expect(heard).toMatchObject([{ reason: expect.stringContaining('not a regular file') }])
})
