import { expect, test } from 'vitest'
import type { Outcome } from '../../machines/domain/outcome.ts'
import { outcomeText } from '../../src/cli/format.ts'
import { USAGE } from '../harness.ts'

/* What a person reads of what a job used: only what its runner could tell. */

const ended = (usage: Outcome['usage']) =>
  outcomeText({ kind: 'succeeded', code: 'OK', message: 'done', exitCode: 0, signal: null, usage }, (_, text) => text)

test('what is not known of a process is left out, and nothing stands for it', () => {
  expect(ended(USAGE)).toMatch(/^succeeded: done \(.+, .+ of CPU, at most 10 MiB\)$/)
  expect(ended({ ...USAGE, cpuMs: null, peakMemoryKiB: null })).toMatch(/^succeeded: done \([^,]+\)$/)
  expect(ended({ ...USAGE, wallMs: null, cpuMs: null, peakMemoryKiB: null })).toBe('succeeded: done')
  expect(ended(null)).toBe('succeeded: done')
})
