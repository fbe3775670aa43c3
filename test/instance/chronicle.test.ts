import { describe, expect, test } from 'vitest'
import { createChronicle } from '../../src/instance/chronicle.ts'
import { breaking } from '../harness.ts'
import { createNight, type Night } from '../night.ts'

/* What the log says of a night in memory: changes of state and failed jobs, one line each. */

interface Line {
  readonly level: 'info' | 'warn' | 'error'
  readonly fields: object
  readonly sentence: string
}

/** The lines after everything that was said, in order. */
function told(night: Night): Line[] {
  const lines: Line[] = []
  const at = (level: Line['level']) => (fields: object, sentence: string) =>
    void lines.push({ level, fields, sentence })
  const chronicle = createChronicle({
    instance: 'LATISS',
    log: { info: at('info'), warn: at('warn'), error: at('error') },
  })
  for (const said of night.said) chronicle(said)
  return lines
}

async function enabledWithJob() {
  const night = await createNight()
  await night.enable()
  const ack = await night.command('processData', { dataId: { obsid: 'E1' }, pipeline: 'quicklook' })
  const jobId = ack?.jobIds[0] ?? ''
  await night.started(jobId)
  return { night, jobId, before: told(night).length }
}

describe('chronicle', () => {
  test('every change of state is one line', async () => {
    const night = await createNight()
    await night.enable()
    for (const command of ['disable', 'standby', 'exitControl']) await night.command(command)
    expect(told(night).map(({ level, sentence }) => `${level} ${sentence}`)).toEqual([
      'info OCPS LATISS is STANDBY',
      'info OCPS LATISS goes from STANDBY to DISABLED',
      'info OCPS LATISS goes from DISABLED to ENABLED',
      'info OCPS LATISS goes from ENABLED to DISABLED',
      'info OCPS LATISS goes from DISABLED to STANDBY',
      'info OCPS LATISS goes from STANDBY to OFFLINE',
    ])
  })

  test('a failed job is one warning that says which and why', async () => {
    const { night, jobId, before } = await enabledWithJob()
    await night.exited(jobId, { exitCode: 3, stderrTail: 'no such star' })
    expect(told(night).slice(before)).toMatchObject([
      {
        level: 'warn',
        fields: { jobId, pipeline: 'quicklook', attempt: 1, outcome: 'failed', code: 'EXIT_CODE' },
        sentence: expect.stringMatching(new RegExp(`^job ${jobId} failed: .*no such star`, 'u')) as string,
      },
    ])
  })

  test('a job that ran out of time or was lost is one warning', async () => {
    const { night, jobId, before } = await enabledWithJob()
    await night.report({ type: 'executor.lost', jobId, attempt: 1, reason: 'its launcher died' })
    const ack = await night.command('processData', { dataId: { obsid: 'E2' }, pipeline: 'quicklook' })
    const second = ack?.jobIds[0] ?? ''
    await night.started(second)
    await night.advance(60_000)
    await night.exited(second, { signal: 'SIGTERM' })
    expect(told(night).slice(before)).toMatchObject([
      { level: 'warn', fields: { jobId, outcome: 'lost' } },
      { level: 'warn', fields: { jobId: second, outcome: 'timedOut' } },
    ])
  })

  test('a job that succeeded, or that someone aborted, has none', async () => {
    const { night, jobId, before } = await enabledWithJob()
    await night.exited(jobId)
    const ack = await night.command('processData', { dataId: { obsid: 'E2' }, pipeline: 'quicklook' })
    const second = ack?.jobIds[0] ?? ''
    await night.started(second)
    await night.command('abortJob', { jobId: second })
    await night.exited(second, { signal: 'SIGTERM' })
    expect(night.events('jobResult').map(({ outcome }) => outcome.kind)).toEqual(['succeeded', 'aborted'])
    expect(told(night)).toHaveLength(before)
  })

  test('FAULT is one error with its reason, and the way out of it one line', async () => {
    const { night, jobId, before } = await enabledWithJob()
    await night.report(breaking(jobId))
    expect(night.state('csc')).toBe('fault')
    await night.command('standby')
    const lines = told(night).slice(before)
    expect(lines.filter(({ level }) => level === 'error')).toMatchObject([
      { fields: { errorCode: 3 }, sentence: expect.stringContaining('is in FAULT: job machine') as string },
    ])
    expect(lines.filter(({ level }) => level === 'info').map(({ sentence }) => sentence)).toEqual([
      'OCPS LATISS goes from FAULT to STANDBY',
    ])
  })

  test('a restart in the same state says which, and a state that is said again is no change', async () => {
    const { night, before } = await enabledWithJob()
    await night.restart()
    expect(told(night)).toHaveLength(before)
    expect(told({ ...night, said: night.said.slice(-6) }).map(({ sentence }) => sentence)).toEqual([
      'OCPS LATISS is ENABLED',
    ])
  })
})
