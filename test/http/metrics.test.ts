import { expect, test } from 'vitest'
import { createMetrics } from '../../src/http/metrics.ts'
import { OBSERVATIONS } from '../../src/observer.ts'

/* What is counted and timed, as Prometheus reads it. */

test('counts are counters with their label, times are histograms in seconds, levels are gauges', async () => {
  const { observe, answer } = createMetrics('LATISS')
  observe('jobsSettled', 1, 'succeeded')
  observe('jobsSettled', 2, 'failed')
  observe('journalAppendMs', 3)
  observe('journalBatchEntries', 7)
  observe('eventsUnstored', 4)
  observe('eventsUnstored', 2)
  const { status, type, body } = await answer()
  expect([status, type.startsWith('text/plain')]).toEqual([200, true])
  const lines = body.split('\n')
  expect(lines).toContain('ocps_jobs_settled_total{outcome="succeeded",instance="LATISS"} 1')
  expect(lines).toContain('ocps_jobs_settled_total{outcome="failed",instance="LATISS"} 2')
  expect(lines).toContain('ocps_journal_append_seconds_sum{instance="LATISS"} 0.003')
  expect(lines).toContain('ocps_journal_append_seconds_bucket{le="0.002",instance="LATISS"} 0')
  expect(lines).toContain('ocps_journal_append_seconds_bucket{le="0.005",instance="LATISS"} 1')
  expect(lines).toContain('ocps_journal_batch_entries_sum{instance="LATISS"} 7')
  expect(lines).toContain('ocps_events_unstored{instance="LATISS"} 2')
})

test('every observation has a metric with its sentence', async () => {
  const { answer } = createMetrics('LATISS')
  const { body } = await answer()
  for (const { says } of Object.values(OBSERVATIONS))
    expect(body).toContain(says.replace(', milliseconds', ', seconds'))
  expect(body.match(/^# HELP ocps_/gm)?.length).toBeGreaterThanOrEqual(Object.keys(OBSERVATIONS).length)
})

test('facts are taken when they are asked for', async () => {
  const { answer, facts } = createMetrics('LATISS')
  let running = 1
  const fixed = { waiting: 5, held: 0, slots: 4, slotsTaken: 1, groups: 0, shelf: 0 }
  facts(() => ({ summaryState: 'ENABLED', running, ...fixed }))
  expect((await answer()).body).toContain('ocps_running{instance="LATISS"} 1')
  running = 2
  const { body } = await answer()
  expect(body).toContain('ocps_running{instance="LATISS"} 2')
  expect(body).toContain('ocps_summary_state{state="ENABLED",instance="LATISS"} 1')
  expect(body).toContain('ocps_summary_state{state="FAULT",instance="LATISS"} 0')
})
