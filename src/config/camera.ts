import type { z } from 'zod'
import { builtIn, type Camera } from '../../machines/domain/camera.ts'
import type { cameraSchema } from '../contract/configuration.ts'

/** The camera of a configuration, or the sentence why it is none. */
export function cameraOf(given: z.infer<typeof cameraSchema>): Camera | { readonly problem: string } {
  if (typeof given === 'string') return builtIn(given)
  const known = typeof given.detectors === 'string' ? builtIn(given.detectors) : null
  const detectors = known?.detectors ?? (given.detectors as Record<string, number>)
  const numbers = new Set(Object.values(detectors))
  for (const key of ['expected', 'without'] as const) {
    const unknown = given[key]?.find(detector => !numbers.has(detector))
    if (unknown !== undefined) return { problem: `${key}: the camera has no detector ${unknown}` }
  }
  const expected = (given.expected ?? [...numbers]).filter(detector => given.without?.includes(detector) !== true)
  if (expected.length === 0) return { problem: 'without: an exposure is ready when its detectors are in; leave one' }
  return { name: known?.name ?? `a map of ${Object.keys(detectors).length} sensors`, detectors, expected }
}
