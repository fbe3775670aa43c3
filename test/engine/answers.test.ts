import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ACK, complete, inProgress } from '../../machines/domain/announcements.ts'
import { createAnswers, REMEMBERED } from '../../src/engine/answers.ts'
import { aCaller, NIGHTFALL } from '../harness.ts'

/*
 * How long an acknowledged message id is remembered: a stated time and number at least, over restarts and marks; never
 * without bound.
 */

function answered(count: number, everyMs: number) {
  const answers = createAnswers()
  for (let at = 0; at < count; at++) {
    answers.meet(`m${at}`, 'print', null)
    answers.note(complete(aCaller(`m${at}`)), NIGHTFALL + at * everyMs)
  }
  return answers
}

/** What is left of it behind a mark that is read by another process. */
function afterMark(answers: ReturnType<typeof createAnswers>) {
  const next = createAnswers()
  next.settleInto(JSON.parse(JSON.stringify(answers.quiet())) as ReturnType<typeof answers.quiet>, NIGHTFALL)
  return next
}

test('over a mark the newest commands of the stated time are remembered, up to the stated number', () => {
  const many = afterMark(answered(REMEMBERED.commands + 1, 1))
  expect(many.meet('m0', 'print', null)).toEqual({ as: 'new' })
  expect(many.meet('m1', 'print', null)).toMatchObject({ as: 'repeated', acks: [{ ack: ACK.COMPLETE }] })
  const slow = afterMark(answered(12, 60_000))
  expect(slow.meet('m0', 'print', null)).toEqual({ as: 'new' })
  expect(slow.meet('m1', 'print', null)).toMatchObject({ as: 'repeated' })
})

test('over a second mark the time goes on from the acknowledgement, not from the restart', () => {
  const again = afterMark(answered(2, 1))
  again.meet('later', 'print', null)
  again.note(complete(aCaller('later')), NIGHTFALL + REMEMBERED.ms + 1)
  const last = afterMark(again)
  expect(last.meet('m0', 'print', null)).toEqual({ as: 'new' })
  expect(last.meet('m1', 'print', null)).toMatchObject({ as: 'repeated' })
})

test('what a mark of an older OCPS holds is as old as the mark', () => {
  const answers = createAnswers()
  answers.settleInto([{ id: 'old', fingerprint: 'print', acks: [complete(aCaller('old')).body] }], NIGHTFALL)
  answers.meet('new', 'print', null)
  answers.note(complete(aCaller('new')), NIGHTFALL + REMEMBERED.ms)
  expect(answers.quiet().map(({ id }) => id)).toEqual(['old', 'new'])
})

test('what is promised is remembered, however old', () => {
  const answers = createAnswers()
  answers.meet('promised', 'print', null)
  answers.note(inProgress(aCaller('promised'), [], 60_000), NIGHTFALL)
  answers.meet('new', 'print', null)
  answers.note(complete(aCaller('new')), NIGHTFALL + 2 * REMEMBERED.ms)
  expect(answers.quiet().map(({ id }) => id)).toEqual(['promised', 'new'])
})

test('the memory is bounded, and holds the stated number at least', () => {
  const answers = answered(60_000, 1)
  expect(answers.meet('m0', 'print', null)).toEqual({ as: 'new' })
  expect(answers.meet(`m${60_000 - REMEMBERED.commands}`, 'print', null)).toMatchObject({ as: 'repeated' })
})

test('the page of scripts states how long and how many', () => {
  const readme = readFileSync(new URL('../../src/client/README.md', import.meta.url), 'utf8')
  expect(readme).toContain(
    `remembered for ${REMEMBERED.ms / 60_000} minutes, for the last ${REMEMBERED.commands.toLocaleString('en').replace(',', ' ')} commands`,
  )
})
