import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { builtIn } from '../../machines/domain/camera.ts'
import { createConfigurationSource } from '../../src/config/load.ts'
import { checkTemplate } from '../../src/executor/commandLine.ts'

/* The key `camera`: which detectors there are and which an exposure waits for. */

const INIT = `
mode: async
slots: 4
queueDepth: 10
order: fifo
ackTimeout: 60
dataPath: ""
groups: { policy: partial, patience: 60, late: regather, linger: 60, pipeline: null }
`

function load(camera: string) {
  const dir = mkdtempSync(join(tmpdir(), 'ocps-camera-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  mkdirSync(join(dir, 'pipelines'))
  writeFileSync(join(dir, '_init.yaml'), `${INIT}\n${camera}`)
  return createConfigurationSource({ dir, site: '', instance: 'X', checkTemplate }).load('')
}

function cameraIn(text: string) {
  const loaded = load(text)
  if (!loaded.ok) throw new Error(loaded.problem)
  return loaded.configuration.camera
}

test('a camera is known by name, and none is configured unless one is named', () => {
  expect(cameraIn('camera: LSSTComCam')).toEqual(builtIn('LSSTComCam'))
  expect(cameraIn('')).toBeNull()
})

test('a map names the sensors of another camera, all of them expected unless said otherwise', () => {
  const detectors = { R22_S00: 0, R22_S01: 1, R00_SG0: 7 }
  const name = 'a map of 3 sensors'
  const map = 'R22_S00: 0, R22_S01: 1, R00_SG0: 7'
  expect(cameraIn(`camera: {detectors: {${map}}}`)).toEqual({ name, detectors, expected: [0, 1, 7] })
  expect(cameraIn(`camera: {detectors: {${map}}, expected: [0, 1]}`)).toEqual({ name, detectors, expected: [0, 1] })
})

test('detectors that are dead are not waited for', () => {
  const camera = cameraIn('camera: {detectors: LSSTCam, without: [0, 188]}')
  expect(camera).toMatchObject({ name: 'LSSTCam', detectors: { R01_S00: 0 } })
  expect(camera?.expected).toEqual(Array.from({ length: 187 }, (_, index) => index + 1))
})

test.each([
  ['camera: HSC', /^_init\.yaml: camera/],
  ['camera: {detectors: LATISS, expected: [3]}', /^_init\.yaml: camera\.expected: the camera has no detector 3$/],
  ['camera: {detectors: LATISS, without: [3]}', /^_init\.yaml: camera\.without: the camera has no detector 3$/],
  ['camera: {detectors: LATISS, without: [0]}', /^_init\.yaml: camera\.without: .*leave one$/],
  ['camera: {detectors: {S00: 0}}', /^_init\.yaml: camera/],
  ['camera: {detectors: {}}', /^_init\.yaml: camera/],
  ['camera: {detectors: {R22_S00: -1}}', /^_init\.yaml: camera/],
])('%s is refused in a sentence that names file and key', (text, sentence) => {
  expect(load(text)).toEqual({ ok: false, problem: expect.stringMatching(sentence) })
})
