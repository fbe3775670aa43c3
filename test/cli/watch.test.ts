import { describe, expect, test } from 'vitest'
import { eventLine } from '../../src/cli/watch.ts'
import type { OcpsEvent } from '../../src/client/index.ts'

/* What `ocps watch` prints of an event: one line, whatever is in it. */

const paint = (_how: string, text: string) => text

function event(topic: string, body: OcpsEvent['body'], key: string | null = null): OcpsEvent {
  return { topic, key, at: Date.UTC(2026, 10, 22, 22), body }
}

describe('ocps watch', () => {
  test('shows a control character of a log message as a dot, so that nobody else moves the cursor', () => {
    const message = 'frame \u001b[2J\u001b[31mred\r\nnext line \u009b1A'
    const line = eventLine(event('logMessage', { level: 'WARNING', message }), paint)
    expect(line).toBe('22:00:00.000 logMessage WARNING frame ·[2J·[31mred·next line ·1A')
  })

  test('does so with everything others wrote: outcomes, notes, reports, and topics it does not know', () => {
    const dataId = { instrument: 'LATISS', obsid: 'AT_O_1', group: null, detector: null }
    const outcome = { kind: 'failed', message: 'bell \u0007 rings' }
    const lines = [
      event('jobResult', { outcome, pipeline: 'quick\u0007look', dataId }, 'j1'),
      event(
        'jobState',
        { state: 'running', outcome: null, pipeline: 'quicklook', dataId, note: 'half\u0007way' },
        'j1',
      ),
      event('errorCode', { errorCode: 3, errorReport: 'a\u0007b' }),
      event('somethingNew', { text: 'c1 \u0085 too' }),
    ].map(one => eventLine(one, paint))
    // oxlint-disable-next-line no-control-regex
    for (const line of lines) expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/)
    expect(lines[0]).toContain('bell · rings')
  })
})
