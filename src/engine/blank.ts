import type { Quiescent } from '../../machines/domain/messages.ts'
import { MACHINES_VERSION } from '../../machines/index.ts'
import { MARK_FORMAT } from '../journal/entry.ts'
import { createWorld } from './world.ts'

/** The mark of an instance that has done nothing yet: a journal may begin with it, whatever number it has. */
export function blankMark(instance: string): Quiescent {
  const quiet = createWorld({ instance }).quiet()
  if (quiet === null) throw new Error('invariant: a new world has something open')
  return { type: 'engine.quiescent', machines: MACHINES_VERSION, format: MARK_FORMAT, ...quiet, answers: [] }
}
