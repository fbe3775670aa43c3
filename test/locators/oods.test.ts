import { describe, expect, test } from 'vitest'
import type { IngestedImage } from '../../machines/domain/camera.ts'
import type { LocatorAnswer } from '../../machines/domain/messages.ts'
import type { Incoming } from '../../src/bus/port.ts'
import type { ImageInOODS } from '../../src/contract/oods.ts'
import { createOodsLocator, type OodsOptions } from '../../src/locators/oods.ts'
import { createPaths } from '../../src/locators/path.ts'
import { locatorContract } from './contract.ts'

const turn = () => new Promise<void>(resolve => setImmediate(resolve))
const dataId = (detector: number | null = null, obsid = 'E1') => ({ instrument: 'X', obsid, group: null, detector })

/** Over a bus whose events and outages are the test's, and a file system of names and times. */
function opened(files: Record<string, number> = {}) {
  let now = 1_000
  let hear: (message: Incoming) => void = () => {}
  let status: (is: 'connected' | 'disconnected') => void = () => {}
  const said: Parameters<OodsOptions['report']>[0][] = []
  const bus: OodsOptions['bus'] = {
    subscribe(_subject, handler) {
      hear = handler
      return { stop: () => Promise.resolve() }
    },
    onStatus(handler) {
      status = handler
      handler('connected')
    },
  }
  const locator = createOodsLocator({
    bus,
    report: answer => void said.push(answer),
    now: () => now,
    paths: createPaths(path => Promise.resolve(files[path] ?? null)),
  })
  const publish = (body: string) =>
    hear({ subject: 'oods.X.evt.imageInOODS', body: new TextEncoder().encode(body), headers: {}, reply: null })
  const event = (changes: Partial<ImageInOODS> = {}) =>
    publish(
      JSON.stringify({
        camera: 'LSSTComCam',
        obsid: 'E1',
        raft: 'R22',
        sensor: 'S00',
        statusCode: 0,
        description: 'file ingested',
        ...changes,
      }),
    )
  return {
    locator,
    said,
    publish,
    event,
    answers: said as LocatorAnswer[],
    images: (): IngestedImage[][] => said.flatMap(one => (one.type === 'data.ingested' ? [[...one.images]] : [])),
    advance: (ms: number) => void (now += ms),
    outage() {
      status('disconnected')
      return () => status('connected')
    },
    async settled() {
      await turn()
      await turn()
    },
    async arrive(obsid: string) {
      event({ obsid })
      await turn()
    },
  }
}

locatorContract('oods', () => opened())

describe('what the OODS says', () => {
  const follow = { type: 'data.follow', sensors: ['R22_S00', 'R22_S01'] } as const

  test('is reported with raft and sensor, all that comes in one turn of the event loop at once, each file once', async () => {
    const side = opened()
    side.locator.order(follow)
    side.event()
    side.event({ sensor: 'S01' })
    side.event()
    await turn()
    expect(side.images()).toEqual([
      [
        { obsid: 'E1', raft: 'R22', sensor: 'S00' },
        { obsid: 'E1', raft: 'R22', sensor: 'S01' },
      ],
    ])
    side.event()
    side.event({ obsid: 'E2' })
    await turn()
    expect(side.images()[1]).toEqual([{ obsid: 'E2', raft: 'R22', sensor: 'S00' }])
  })

  test('is not reported where nobody asked, of other sensors, of failures, or where it makes no sense', async () => {
    const side = opened()
    side.event()
    side.locator.order(follow)
    side.event({ sensor: 'SG0' })
    side.event({ statusCode: 1, obsid: '2026112200017' })
    side.event({ statusCode: 2, obsid: '??', raft: 'R??', sensor: 'S??' })
    side.event({ obsid: 'E'.repeat(200) })
    for (const body of ['', '{', '[]', 'null', '{"obsid":7,"statusCode":0}']) side.publish(body)
    side.event({ obsid: 'heard' })
    await turn()
    expect(side.images()).toEqual([[{ obsid: 'heard', raft: 'R22', sensor: 'S00' }]])
    side.locator.order({ type: 'data.follow', sensors: [] })
    side.event({ obsid: 'E3' })
    await turn()
    expect(side.images()).toHaveLength(1)
  })

  test('never becomes an entry of more than a thousand images', async () => {
    const side = opened()
    side.locator.order(follow)
    for (let seqNum = 0; seqNum < 2_500; seqNum++) side.event({ obsid: `E${seqNum}` })
    await turn()
    expect(side.images().map(images => images.length)).toEqual([1_000, 1_000, 500])
  })

  test('does not answer for a job whose detectors the machines count', async () => {
    const side = opened()
    side.locator.order({ type: 'data.look', jobId: 'j1', dataId: dataId(), detectors: [0, 1] })
    side.event()
    await side.settled()
    expect(side.said).toEqual([{ type: 'data.absent', jobId: 'j1' }])
  })

  test('a detector’s number counts where one is given and no camera is configured', async () => {
    const side = opened()
    side.locator.order({ type: 'data.look', jobId: 'j1', dataId: dataId(3) })
    side.event()
    side.event({ detector: 4 })
    await side.settled()
    expect(side.said).toEqual([{ type: 'data.absent', jobId: 'j1' }])
    side.event({ detector: 3 })
    expect(side.said.at(-1)).toEqual({ type: 'data.present', jobId: 'j1' })
  })
})

describe('an event that may have been missed', () => {
  const dataPath = '/raw/{obsid}_{detector}.fits'
  const look = (detectors?: readonly number[]) =>
    ({ type: 'data.look', jobId: 'j1', dataId: dataId(0), dataPath, ...(detectors && { detectors }) }) as const

  test('before the start: a file that was there when listening began may be used', async () => {
    for (const detectors of [undefined, [0]]) {
      const side = opened({ '/raw/E1_0.fits': 999 })
      side.locator.order(look(detectors))
      await side.settled()
      expect(side.said).toEqual([{ type: 'data.present', jobId: 'j1' }])
    }
  })

  test('a file that came later is not: its event will be heard when it is ingested', async () => {
    const side = opened({ '/raw/E1_0.fits': 1_001 })
    side.locator.order(look())
    await side.settled()
    expect(side.said).toEqual([{ type: 'data.absent', jobId: 'j1' }])
  })

  test('during an outage: when the connection is back, those who wait are looked for again', async () => {
    const files: Record<string, number> = {}
    const side = opened(files)
    side.locator.order(look([0, 1]))
    await side.settled()
    const reconnect = side.outage()
    side.advance(60_000)
    Object.assign(files, { '/raw/E1_0.fits': 30_000 })
    reconnect()
    await side.settled()
    expect(side.said).toEqual([{ type: 'data.absent', jobId: 'j1' }])
    const again = side.outage()
    Object.assign(files, { '/raw/E1_1.fits': 40_000 })
    again()
    await side.settled()
    expect(side.said.slice(1)).toEqual([{ type: 'data.present', jobId: 'j1' }])
  })

  test('a job that is forgotten while its file is looked for hears nothing', async () => {
    const side = opened({ '/raw/E1_0.fits': 1 })
    side.locator.order(look())
    side.locator.order({ type: 'data.forget', jobId: 'j1' })
    await side.settled()
    expect(side.said).toEqual([])
  })
})
