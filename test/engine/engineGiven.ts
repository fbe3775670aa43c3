import type { Numbered } from '../../src/engine/engine.ts'
import { createNight, type Night } from '../night.ts'

/** An engine as its tests begin with it. */

export const asked = (obsid = 'AT_O_20261122_000017', rest: object = {}) => ({
  dataId: { obsid },
  pipeline: 'quicklook',
  ...rest,
})

export async function enabled(options: Parameters<typeof createNight>[0] = {}): Promise<Night> {
  const night = await createNight(options)
  await night.enable()
  return night
}

/** Not the refusals at the door and the repeated answers, which no entry stands behind. */
export function journaled(said: readonly Numbered[]): Numbered[] {
  return said.filter(({ id }) => id !== '')
}
