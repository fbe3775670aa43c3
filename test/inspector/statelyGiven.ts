import { createFold, type Fold } from '../../src/inspector/stately/fold.ts'
import { type Shown } from '../../src/inspector/stately/messages.ts'
import { createNight, type Night } from '../night.ts'

/** A night and a viewer, as the tests of the Stately bridge begin with them. */

export async function enabled(options: Parameters<typeof createNight>[0] = {}): Promise<Night> {
  const night = await createNight(options)
  await night.enable()
  return night
}

export async function process(night: Night, obsid: string, more: object = {}): Promise<string> {
  const ack = await night.command('processData', { dataId: { obsid }, pipeline: 'quicklook', ...more })
  const [jobId] = ack?.jobIds ?? []
  if (jobId === undefined) throw new Error(`${obsid} was refused: ${ack?.result}`)
  return jobId
}

export function folded(night: Night, from = 0): { fold: Fold; steps: Shown[] } {
  const steps: Shown[] = []
  const fold = createFold('LATISS', shown => steps.push(shown))
  for (const entry of night.entries().slice(from)) fold.apply(entry)
  return { fold, steps }
}
