import { expect, test } from 'vitest'
import { createBlame, DEATHS_MAX, REMEMBERED_MS } from '../../src/executor/blame.ts'

const times = (n: number, act: () => string | null) => Array.from({ length: n }, act)

test('a pipeline whose jobs ran at three launchers that died is refused, by name, and no other', () => {
  const blame = createBlame()
  expect(times(DEATHS_MAX, () => blame.launcherDied(['bad'], 0))).toEqual([null, null, 'bad'])
  expect(blame.refusal('bad', 1)).toMatch(/^Pipeline bad: 3 launchers/)
  expect(blame.refusal('good', 1)).toBeNull()
})

test('a job that ends at a launcher that lives clears its pipeline', () => {
  const blame = createBlame()
  times(DEATHS_MAX - 1, () => blame.launcherDied(['slow'], 0))
  blame.jobEnded('slow')
  expect(times(DEATHS_MAX - 1, () => blame.launcherDied(['slow'], 0))).toEqual([null, null])
})

test('of two that were there each time the one begun last is refused first, and the other only where it goes on', () => {
  const blame = createBlame()
  expect(times(DEATHS_MAX, () => blame.launcherDied(['long', 'bad'], 0)).at(-1)).toBe('bad')
  expect(blame.refusal('long', 0)).toBeNull()
  expect(times(DEATHS_MAX, () => blame.launcherDied(['long'], 0)).at(-1)).toBe('long')
})

test('deaths and refusals are forgotten after a while', () => {
  const blame = createBlame()
  times(DEATHS_MAX - 1, () => blame.launcherDied(['bad'], 0))
  expect(blame.launcherDied(['bad'], REMEMBERED_MS)).toBeNull()
  expect(times(DEATHS_MAX - 1, () => blame.launcherDied(['bad'], REMEMBERED_MS)).at(-1)).toBe('bad')
  expect(blame.refusal('bad', 2 * REMEMBERED_MS - 1)).not.toBeNull()
  expect(blame.refusal('bad', 2 * REMEMBERED_MS)).toBeNull()
})
