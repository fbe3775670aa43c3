import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { LocatorAnswer } from '../../machines/domain/messages.ts'
import { createPathLocator, createPaths, type Paths } from '../../src/locators/path.ts'
import { locatorContract } from './contract.ts'

const dataId = { instrument: 'LSSTCam', obsid: 'E1', group: null, detector: null }
const turn = () => new Promise(resolve => setImmediate(resolve))

function opened() {
  const folder = mkdtempSync(join(tmpdir(), 'ocps-path-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const answers: LocatorAnswer[] = []
  let lookAgain = () => {}
  const real = createPaths()
  let last: Promise<unknown> = Promise.resolve()
  const paths: Paths = {
    completeAt(look) {
      const answer = real.completeAt(look)
      last = answer
      return answer
    },
  }
  const locator = createPathLocator({
    report: answer => void answers.push(answer),
    paths,
    every: (_ms, call) => {
      lookAgain = call
      return () => (lookAgain = () => {})
    },
  })
  const settled = async () => {
    lookAgain()
    for (let before; before !== last; ) {
      before = last
      await last
      await turn()
    }
  }
  return {
    locator,
    answers,
    dataPath: join(folder, '{obsid}.fits'),
    settled,
    async arrive(obsid: string) {
      writeFileSync(join(folder, `${obsid}.fits`), '')
      await settled()
    },
  }
}

locatorContract('path', opened)

test('of several detectors the last file counts, and one that is missing is waited for', async () => {
  const written = new Map([
    ['/raw/E1_0.fits', 10],
    ['/raw/E1_1.fits', 30],
  ])
  const paths = createPaths(path => Promise.resolve(written.get(path) ?? null))
  const look = { type: 'data.look', jobId: 'j1', dataId, dataPath: '/raw/{obsid}_{detector}.fits' } as const
  expect(await paths.completeAt({ ...look, detectors: [0, 1] })).toBe(30)
  expect(await paths.completeAt({ ...look, detectors: [0, 1, 2] })).toBeNull()
  expect(await paths.completeAt({ ...look, detectors: [0] })).toBe(10)
})

test('where no path can be told there is nothing to find: no template, or one that names what the job does not have', async () => {
  const paths = createPaths(() => Promise.resolve(1))
  const look = { type: 'data.look', jobId: 'j1', dataId } as const
  expect(await paths.completeAt(look)).toBeNull()
  expect(await paths.completeAt({ ...look, dataPath: '/raw/{obsid}_{detector}.fits' })).toBeNull()
  expect(await paths.completeAt({ ...look, dataId: { ...dataId, obsid: '..' }, dataPath: '/raw/{obsid}' })).toBeNull()
})

test('a file system is asked one question at a time', async () => {
  let open = 0
  let most = 0
  const paths = createPaths(async () => {
    most = Math.max(most, ++open)
    await turn()
    open--
    return 1
  })
  const look = { type: 'data.look', jobId: 'j1', dataId, dataPath: '/raw/{obsid}' } as const
  await Promise.all([paths.completeAt(look), paths.completeAt(look), paths.completeAt(look)])
  expect(most).toBe(1)
})
