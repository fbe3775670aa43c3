import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  add,
  EMPTY,
  inOrder,
  next,
  remove,
  type Waiting,
  type WaitingList,
  withoutNext,
} from '../../machines/domain/waitingList.ts'

/* The waiting list beside a plain array that is sorted: the same jobs in the same order, whatever is done to them. */

type Order = 'fifo' | 'newestFirst'
type Model = readonly (Waiting & { readonly priority: number })[]

const job = (n: number): Waiting => ({ jobId: `j${n}`, slots: 1 + (n % 3) })

function ordered(model: Model, order: Order): Waiting[] {
  const lanes = [...new Set(model.map(({ priority }) => priority))].sort((a, b) => b - a)
  return lanes.flatMap(lane => {
    const jobs = model.filter(({ priority }) => priority === lane).map(({ jobId, slots }) => ({ jobId, slots }))
    return order === 'fifo' ? jobs : jobs.reverse()
  })
}

/** More than three chunks of a lane, so that their bounds are met. */
function filled(count: number, priority = 0): { list: WaitingList; model: Model } {
  const jobs = Array.from({ length: count }, (_, n) => job(n))
  return {
    list: jobs.reduce((list, one) => add(list, priority, one), EMPTY),
    model: jobs.map(one => ({ ...one, priority })),
  }
}

test.each(['fifo', 'newestFirst'] as const)('%s: gives the same jobs in the same order as a sorted array', order => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('add' as const), priority: fc.integer({ min: -2, max: 2 }) }),
    fc.record({ do: fc.constant('remove' as const), at: fc.nat(400) }),
    fc.record({ do: fc.constant('next' as const) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(0, 300, 600), (steps, before) => {
      let { list, model } = filled(before)
      for (const [index, one] of steps.entries()) {
        if (one.do === 'add') {
          const added = job(1_000 + index)
          list = add(list, one.priority, added)
          model = [...model, { ...added, priority: one.priority }]
        } else if (one.do === 'remove') {
          const gone = model[one.at % Math.max(1, model.length)]?.jobId ?? 'nobody'
          list = remove(list, gone)
          model = model.filter(({ jobId }) => jobId !== gone)
        } else {
          const first = ordered(model, order)[0]
          expect(next(list, order)).toEqual(first)
          list = withoutNext(list, order)
          model = model.filter(({ jobId }) => jobId !== first?.jobId)
        }
        expect(list.size).toBe(model.length)
        expect(list.lanes.every(({ chunks }) => chunks.length > 0 && chunks.every(chunk => chunk.length > 0))).toBe(
          true,
        )
      }
      expect(inOrder(list, order)).toEqual(ordered(model, order))
    }),
    { seed: 20_261_122, numRuns: 60 },
  )
})

test('an empty list stays as it is when its next is taken, and so does one that lacks the job to be removed', () => {
  expect(withoutNext(EMPTY, 'fifo')).toBe(EMPTY)
  expect(next(EMPTY, 'newestFirst')).toBeUndefined()
  const { list } = filled(3)
  expect(remove(list, 'nobody')).toBe(list)
})

test('a chunk is shared until it changes, so that a job costs the same with 100 000 waiting', () => {
  const { list } = filled(600)
  const longer = add(list, 0, job(601))
  expect(list.lanes[0]?.chunks.map(chunk => chunk.length)).toEqual([256, 256, 88])
  expect(longer.lanes[0]?.chunks[0]).toBe(list.lanes[0]?.chunks[0])
  expect(longer.lanes[0]?.chunks[1]).toBe(list.lanes[0]?.chunks[1])
})
