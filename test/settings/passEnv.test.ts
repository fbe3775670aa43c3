import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startInstance } from '../conformance/instance.ts'

/* What a pipeline takes over from the environment of the service reaches its program, and nothing else. */

const VALUE = 'only-the-program-sees-this'

test('the value of a variable that is passed on is in no journal, event, log or file but that of the program', async () => {
  vi.stubEnv('LSST_PASSED_ON', VALUE)
  onTestFinished(() => void vi.unstubAllEnvs())
  const said: string[] = []
  const running = await startInstance(
    { logTo: { write: line => void said.push(line) } },
    {
      needsStack: {
        description: 'needs a stack that was set up',
        scope: 'exposure',
        command: ['/bin/sh', '-c', 'printf %s "$LSST_PASSED_ON"'],
        passEnv: ['LSST_*'],
        timeLimit: 60,
      },
    },
  )
  onTestFinished(() => running.stop())
  const { wire, place } = running
  const { jobIds } = await wire.command('processData', {
    dataId: { obsid: 'AT_O_20261122_000017' },
    pipeline: 'needsStack',
  })
  expect(await wire.result(jobIds[0])).toMatchObject({ outcome: { kind: 'succeeded' } })
  await running.service.stop()

  expect(said.length).toBeGreaterThan(0)
  expect(said.filter(line => line.includes(VALUE))).toEqual([])
  const holders = filesWith(place.dir, VALUE)
  expect(holders).toEqual([expect.stringMatching(/stdout\.log$/)])
  // The names are configuration, and as such they are in the journal.
  expect(filesWith(join(place.dataDir, 'nats'), 'LSST_*').length).toBeGreaterThan(0)
})

function filesWith(directory: string, text: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter(one => one.isFile())
    .map(one => join(one.parentPath, one.name))
    .filter(path => readFileSync(path).includes(text))
}
