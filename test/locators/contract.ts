import { describe, expect, test } from 'vitest'
import type { DataId } from '../../machines/domain/dataId.ts'
import type { LocatorAnswer } from '../../machines/domain/messages.ts'
import type { Locator } from '../../machines/ports.ts'
import { eventually } from '../bus/eventually.ts'

/*
 * What every locator keeps, whatever it asks: one answer to each question, one more when data that were absent come,
 * and no word after it was told to forget. Data is what each of them takes for data: a file, an event.
 */
export interface LocatorUnderTest {
  readonly locator: Locator
  readonly answers: readonly LocatorAnswer[]
  /** The data of this exposure come, and whoever looks may see them. */
  arrive(obsid: string): Promise<void>
  /** Everything the locator has begun is done. */
  settled(): Promise<void>
  /** What a look at this exposure names beside the dataId. */
  readonly dataPath?: string
}

export function locatorContract(name: string, open: () => LocatorUnderTest): void {
  const dataId = (obsid: string): DataId => ({ instrument: 'LATISS', obsid, group: null, detector: null })
  const look = (side: LocatorUnderTest, jobId: string, obsid = 'E1') => {
    const { dataPath } = side
    side.locator.order({ type: 'data.look', jobId, dataId: dataId(obsid), ...(dataPath !== undefined && { dataPath }) })
  }
  const said = (side: LocatorUnderTest, jobId: string) =>
    side.answers.filter(one => one.jobId === jobId).map(({ type }) => type)
  const absent = (side: LocatorUnderTest, jobId: string) =>
    eventually(`${jobId} is told`, () => said(side, jobId).length > 0)

  describe(`the locator ${name}`, () => {
    test('says once that data are absent, and once that they have come', async () => {
      const side = open()
      look(side, 'j1')
      await absent(side, 'j1')
      await side.arrive('E1')
      await eventually('j1 hears of it', () => said(side, 'j1').length > 1)
      await side.arrive('E1')
      await side.settled()
      expect(said(side, 'j1')).toEqual(['data.absent', 'data.present'])
    })

    test('says at once that data are there which came before they were asked for', async () => {
      const side = open()
      await side.arrive('E1')
      look(side, 'j1')
      await eventually('j1 is told', () => said(side, 'j1').length > 0)
      await side.settled()
      expect(said(side, 'j1')).toEqual([expect.stringMatching(/^data\.(present|located)$/)])
    })

    test('tells everybody who waits for an exposure, and nobody who waits for another', async () => {
      const side = open()
      look(side, 'j1')
      look(side, 'j2')
      look(side, 'other', 'E2')
      for (const jobId of ['j1', 'j2', 'other']) await absent(side, jobId)
      await side.arrive('E1')
      for (const jobId of ['j1', 'j2']) await eventually(`${jobId} hears`, () => said(side, jobId).length > 1)
      await side.settled()
      expect(said(side, 'other')).toEqual(['data.absent'])
    })

    test('says nothing more to a job that was forgotten, not even what it was about to say', async () => {
      const side = open()
      look(side, 'j1')
      await absent(side, 'j1')
      look(side, 'j2')
      for (const jobId of ['j1', 'j2', 'never asked']) side.locator.order({ type: 'data.forget', jobId })
      const before = side.answers.length
      await side.arrive('E1')
      await side.settled()
      expect(side.answers.slice(before)).toEqual([])
    })

    test('a job may ask again', async () => {
      const side = open()
      look(side, 'j1')
      await absent(side, 'j1')
      side.locator.order({ type: 'data.forget', jobId: 'j1' })
      await side.arrive('E1')
      look(side, 'j1')
      await eventually('j1 is told again', () => said(side, 'j1').length > 1)
      expect(said(side, 'j1')).toEqual(['data.absent', 'data.present'])
    })
  })
}
