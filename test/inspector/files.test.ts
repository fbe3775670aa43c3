/** What a job may leave where the page looks: nothing of it blocks, leads elsewhere or takes long. */
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { findFile, listFiles } from '../../src/inspector/files.ts'

let workDir: string
let directory: string
beforeEach(() => {
  workDir = mkdtempSync(join(tmpdir(), 'ocps-files-'))
  onTestFinished(() => rmSync(workDir, { recursive: true }))
  directory = join(workDir, 'j1')
  mkdirSync(join(directory, 'sub'), { recursive: true })
  writeFileSync(join(directory, 'sub/a.txt'), 'a')
})

test('a file is given as it was when it was opened, also through a link inside the directory', () => {
  symlinkSync('sub/a.txt', join(directory, 'link.txt'))
  for (const path of ['sub/a.txt', 'link.txt']) {
    const found = findFile(workDir, 'j1', path)
    if (found === null) throw new Error(`${path} is not found`)
    onTestFinished(() => closeSync(found.descriptor))
    rmSync(join(directory, 'sub/a.txt'))
    writeFileSync(join(directory, 'sub/a.txt'), 'b')
    expect(found).toMatchObject({ size: 1, mime: 'text/plain; charset=utf-8', inline: true })
    expect(readFileSync(found.descriptor, 'utf8')).toBe(path === 'link.txt' ? 'b' : 'a')
  }
})

test('a FIFO, a device, a directory and a link to another job are no files, and nobody waits for them', () => {
  mkdirSync(join(workDir, 'j2'))
  writeFileSync(join(workDir, 'j2/secret.txt'), 'secret')
  execFileSync('sh', ['-c', 'mkfifo fifo.txt'], { cwd: directory })
  symlinkSync('/dev/zero', join(directory, 'zero.txt'))
  symlinkSync('../j2/secret.txt', join(directory, 'other.txt'))
  for (const path of ['fifo.txt', 'zero.txt', 'other.txt', 'sub', '.', 'nothing', '../j2/secret.txt'])
    expect(findFile(workDir, 'j1', path), path).toBeNull()
  expect(listFiles(workDir, 'j1')).toEqual([{ path: 'sub/a.txt', size: 1 }])
})

test('a job directory that is a link to another one has no files', () => {
  symlinkSync('j1', join(workDir, 'j3'))
  expect(findFile(workDir, 'j3', 'sub/a.txt')).toBeNull()
  expect(listFiles(workDir, 'j3')).toBeNull()
})

test('of thousands of files some are listed, and a sparse one with its size', () => {
  writeFileSync(join(directory, 'sparse.txt'), '')
  truncateSync(join(directory, 'sparse.txt'), 2 ** 40)
  expect(listFiles(workDir, 'j1')).toContainEqual({ path: 'sparse.txt', size: 2 ** 40 })
  execFileSync('sh', ['-c', 'i=0; while [ $i -lt 5000 ]; do : > $i; i=$((i+1)); done'], { cwd: directory })
  expect(listFiles(workDir, 'j1')).toHaveLength(200)
})
