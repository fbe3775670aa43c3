// The simulated camera and OODS over the memory bus: what they say is what their real models say, and what is written
// is whole.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { steppedClock } from '../../src/bus/memory-clock.ts'
import { createMemoryNetwork } from '../../src/bus/memory.ts'
import type { Bus } from '../../src/bus/port.ts'
import { analyse } from '../../src/pipelines/analyse.ts'
import { readImage } from '../../src/pipelines/fits/read.ts'
import { type Camera, startCamera } from '../../src/sim/camera.ts'
import { type FrameSource, recordedFrames, simulatedExposure, simulatedFrames } from '../../src/sim/frames.ts'
import { type IngestFault, startOods } from '../../src/sim/oods.ts'
import { joinFields, splitFields, takeImageSubject } from '../../src/sim/topics.ts'
import { eventually } from '../bus/eventually.ts'
import { cleanUpAfterEach } from '../cleanUp.ts'

const now = Date.UTC(2026, 10, 22, 22, 59, 5)
const groupId = '2026-11-22T22:59:42.721#1'
const bytes: FrameSource = shot => Promise.resolve(new TextEncoder().encode(shot.obsid))

let directory: string
let bus: Bus
let heard: { subject: string; body: Record<string, unknown> }[]

const cleanUp = cleanUpAfterEach()

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocps-telescope-'))
  cleanUp(() => rm(directory, { recursive: true }))
  bus = createMemoryNetwork().connect('test')
  cleanUp(() => bus.close())
  heard = []
  for (const subject of ['camera.*.evt.>', 'oods.*.evt.>'])
    bus.subscribe(subject, message => {
      heard.push({
        subject: message.subject,
        body: JSON.parse(new TextDecoder().decode(message.body)) as Record<string, unknown>,
      })
    })
})

describe('the simulated camera', () => {
  test('says startIntegration, writes the file, and only then says endReadout, with the fields of ts_xml', async () => {
    camera(bytes)
    expect(await takeImage({ exposureTime: 15, groupId })).toEqual({ imageName: 'AT_O_20261122_000001' })
    await eventually('endReadout', () => heard.length === 2)
    expect(await readFile(join(directory, 'AT_O_20261122_000001.fits'), 'utf8')).toBe('AT_O_20261122_000001')
    const common = {
      imageName: 'AT_O_20261122_000001',
      imageSource: 'AT',
      imageController: 'O',
      imageDate: '20261122',
      imageNumber: 1,
      timestampAcquisitionStart: now / 1000 + 37,
      additionalKeys: 'groupId:imageType',
      additionalValues: String.raw`2026-11-22T22\:59\:42.721#1:OBJECT`,
    }
    expect(heard).toEqual([
      { subject: 'camera.LATISS.evt.startIntegration', body: { ...common, exposureTime: 15 } },
      {
        subject: 'camera.LATISS.evt.endReadout',
        body: { ...common, requestedExposureTime: 15, timestampEndOfReadout: now / 1000 + 37 },
      },
    ])
  })

  test('takes one exposure at a time, in the order asked, and leaves no unfinished files', async () => {
    camera(bytes)
    const names = await Promise.all([1, 2, 3].map(() => takeImage({ exposureTime: 1, groupId })))
    expect(names).toEqual([1, 2, 3].map(n => ({ imageName: `AT_O_20261122_00000${n}` })))
    await eventually('three exposures', () => heard.length === 6)
    expect(heard.map(({ subject }) => subject.split('.').at(-1))).toEqual(
      [1, 2, 3].flatMap(() => ['startIntegration', 'endReadout']),
    )
    expect((await readdir(directory)).sort()).toEqual([1, 2, 3].map(n => `AT_O_20261122_00000${n}.fits`))
  })

  test('given up in the middle of an exposure says no endReadout and writes no file', async () => {
    const one = camera(
      bytes,
      (_, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', reject)),
    )
    await takeImage({ exposureTime: 15, groupId })
    await one.close()
    expect(heard.map(({ subject }) => subject)).toEqual(['camera.LATISS.evt.startIntegration'])
    expect(await readdir(directory)).toEqual([])
  })

  test.each([{}, { exposureTime: -1, groupId }, { exposureTime: 1, groupId, shutter: true }, null])(
    'asked for %j says what it needs and takes nothing',
    async body => {
      camera(bytes)
      expect(await takeImage(body)).toEqual({ error: expect.stringContaining('exposureTime') })
      expect(heard).toEqual([])
    },
  )

  test('group ids with colons and backslashes come out of additionalValues as they went in', () => {
    for (const values of [[groupId, 'OBJECT'], ['a\\', 'b:c', ''], ['only'], []])
      expect(splitFields(joinFields(values))).toEqual(values)
  })

  test('puts into the header what the exposure is, and onto the pixels the seeing it says', async () => {
    camera(simulatedFrames(7))
    await takeImage({ exposureTime: 15, groupId })
    await eventually('endReadout', () => heard.length === 2)
    const image = readImage(join(directory, 'AT_O_20261122_000001.fits'))
    const { header } = image
    expect(
      Object.fromEntries(
        ['OBSID', 'GROUPID', 'EXPTIME', 'DATE-OBS', 'INSTRUME', 'SEQNUM', 'DAYOBS'].map(key => [key, header.get(key)]),
      ),
    ).toEqual({
      OBSID: 'AT_O_20261122_000001',
      GROUPID: groupId,
      EXPTIME: 15,
      'DATE-OBS': '2026-11-22T22:59:05.000',
      INSTRUME: 'LATISS',
      SEQNUM: 1,
      DAYOBS: '20261122',
    })
    const { psf } = analyse(image, { threshold: 5, saturation: 60_000 })
    const drawn = Number(header.get('SIMFWHM'))
    expect(Math.abs(psf.fwhm - drawn) / drawn).toBeLessThan(0.05)
  })

  test('moves the telescope and meets other seeing with every exposure, the same for the same seed', () => {
    const shot = (seqNum: number) => ({
      obsid: 'x',
      dayObs: 20261122,
      seqNum,
      instrument: 'LATISS',
      begun: now,
      exposureTime: 15,
      groupId,
    })
    const exposures = [1, 2, 3, 4, 5].map(n => simulatedExposure(7, shot(n)))
    expect(new Set(exposures.map(({ fwhm }) => fwhm)).size).toBe(5)
    expect(new Set(exposures.map(({ dither }) => JSON.stringify(dither))).size).toBe(5)
    expect(simulatedExposure(7, shot(3))).toEqual(exposures[2])
  })

  test('takes recorded frames in order and begins again after the last', async () => {
    camera(bytes)
    await Promise.all([1, 2].map(() => takeImage({ exposureTime: 0, groupId })))
    await eventually('two exposures', () => heard.length === 4)
    const frames = recordedFrames((await readdir(directory)).sort().map(name => join(directory, name)))
    const shot = (seqNum: number) => ({
      obsid: 'x',
      dayObs: 20261122,
      seqNum,
      instrument: 'LATISS',
      begun: now,
      exposureTime: 0,
      groupId,
    })
    const taken = await Promise.all([1, 2, 3].map(async n => new TextDecoder().decode(await frames(shot(n)))))
    expect(taken).toEqual(['AT_O_20261122_000001', 'AT_O_20261122_000002', 'AT_O_20261122_000001'])
  })
})

describe('the simulated OODS', () => {
  test('says imageInOODS once the ingest time has passed, with the words of ctrl_oods', async () => {
    const clock = oods(() => null)
    bus.publish('camera.LATISS.evt.endReadout', JSON.stringify({ imageName: 'AT_O_20261122_000017' }))
    await eventually('endReadout', () => heard.length === 1)
    clock.advance(499)
    expect(heard).toHaveLength(1)
    clock.advance(1)
    await eventually('imageInOODS', () => heard.length === 2)
    expect(heard[1]).toEqual({
      subject: 'oods.LATISS.evt.imageInOODS',
      body: {
        camera: 'LATISS',
        obsid: 'AT_O_20261122_000017',
        raft: 'R00',
        sensor: 'S00',
        statusCode: 0,
        description: 'file ingested',
      },
    })
  })

  const whole = ['AT_O_20261122_000017', 0]
  test.each<[IngestFault, unknown[][], unknown[][]]>([
    ['lost', [], []],
    ['duplicate', [whole, whole], [whole, whole]],
    ['late', [], [whole]],
    ['unreadable', [['??', 2]], [['??', 2]]],
    ['failed', [['2026112200017', 1]], [['2026112200017', 1]]],
  ])('with the fault %s says %j in time and %j in the end', async (fault, inTime, inTheEnd) => {
    const clock = oods(() => fault)
    bus.publish('camera.LATISS.evt.endReadout', JSON.stringify({ imageName: 'AT_O_20261122_000017' }))
    await eventually('endReadout', () => heard.length === 1)
    for (const [milliseconds, expected] of [
      [500, inTime],
      [10_000, inTheEnd],
    ] as const) {
      clock.advance(milliseconds)
      await eventually('what was said', () => heard.length === 1 + expected.length)
      expect(heard.slice(1).map(({ body }) => [body['obsid'], body['statusCode']])).toEqual(expected)
    }
  })

  test('closed says nothing more', async () => {
    const { clock, close } = openOods(() => null)
    bus.publish('camera.LATISS.evt.endReadout', JSON.stringify({ imageName: 'AT_O_20261122_000017' }))
    await eventually('endReadout', () => heard.length === 1)
    await close()
    clock.advance(10_000)
    expect(heard).toHaveLength(1)
  })
})

function camera(
  frames: FrameSource,
  wait: (ms: number, signal: AbortSignal) => Promise<unknown> = async () => {},
): Camera {
  const one = startCamera({
    bus,
    name: 'LATISS',
    telescope: 'AT',
    pathOf: obsid => join(directory, `${obsid}.fits`),
    frames,
    pace: 1,
    now: () => now,
    wait,
  })
  cleanUp(() => one.close())
  return one
}

const oods = (faultOf: () => IngestFault | null) => openOods(faultOf).clock

function openOods(faultOf: () => IngestFault | null) {
  const clock = steppedClock(now)
  const one = startOods({
    bus,
    name: 'LATISS',
    ingestMs: 500,
    lateMs: 5_000,
    faultOf,
    after: (milliseconds, call) => clock.after(milliseconds, call),
  })
  cleanUp(() => one.close())
  return { clock, close: () => one.close() }
}

async function takeImage(body: unknown): Promise<unknown> {
  const { body: answer } = await bus.request(takeImageSubject('LATISS'), JSON.stringify(body), { timeoutMs: 5_000 })
  return JSON.parse(new TextDecoder().decode(answer))
}
