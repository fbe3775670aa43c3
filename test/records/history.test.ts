import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { connectOcps, type JobResult } from '../../src/client/index.ts'
import { startService, type Service } from '../../src/instance/start.ts'
import { eventually } from '../bus/eventually.ts'
import { makePlace, optionsFor } from '../conformance/instance.ts'

/* History of a real instance: asked for over the wire, after a restart, and with the file of records removed. */

test('ended jobs and exposures are told after a restart too, and made again from the journal where the file is gone', async () => {
  const place = makePlace()
  onTestFinished(() => place.remove())
  const options = optionsFor(place)
  const file = join(place.dataDir, 'records', 'LATISS.sqlite')

  const ended = await during(await startService(options), async ocps => {
    const results: JobResult[] = []
    for (const pipeline of ['true', 'fail', 'true']) {
      const job = await ocps.processData({ dataId: { obsid: `AT_O_${results.length}` }, pipeline })
      // Of the event its body, without the time it was published.
      const { at: _, ...result } = (await job.result) as JobResult & { at: number }
      results.push(result)
    }
    expect(await collected(ocps.history())).toEqual(results.toReversed())
    expect(await collected(ocps.history({ outcome: 'failed' }))).toEqual([results[1]])
    expect(await ocps.exposure('AT_O_1')).toEqual({ obsid: 'AT_O_1', open: [], jobs: [results[1]], total: 1 })
    return results
  })
  expect(existsSync(file)).toBe(true)

  await during(await startService(options), async ocps => {
    expect(await collected(ocps.history())).toEqual(ended.toReversed())
  })
  rmSync(file)
  await during(await startService(options), async ocps => {
    await eventually('the journal has been read again', async () => (await collected(ocps.history())).length === 3)
    expect(await collected(ocps.history())).toEqual(ended.toReversed())
  })
})

async function during<T>(
  service: Service,
  act: (ocps: Awaited<ReturnType<typeof connectOcps>>) => Promise<T>,
): Promise<T> {
  const ocps = await connectOcps({ instance: service.instance, url: service.natsUrl })
  try {
    return await act(ocps)
  } finally {
    await ocps.close()
    await service.stop()
  }
}

async function collected(jobs: AsyncIterable<JobResult>): Promise<JobResult[]> {
  const all: JobResult[] = []
  for await (const job of jobs) all.push(job)
  return all
}
