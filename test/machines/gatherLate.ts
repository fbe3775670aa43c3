import { describe, expect, test } from 'vitest'
import { ACK } from '../../machines/domain/announcements.ts'
import { aConfiguration } from '../harness.ts'
import { createNight } from '../night.ts'
import { G1, acks, bad, close, gathered, good, jobsOf, member, resultsOf, stacking, two } from './gatherGiven.ts'

describe('gather: late members', () => {
  test('a member that misses the patience and succeeds later is combined in revision 2', () => {
    const first = two
      .when(good('a'), close({ pipeline: 'stack' }))
      .after('patience')
      .when(good(G1))
    const second = first.when(good('b'))
    expect(jobsOf(second)).toMatchObject([{ members: [{ jobId: 'a' }, { jobId: 'b' }] }])
    expect(resultsOf(second.when(good('20261122-000004-g2')))).toMatchObject([
      { revision: 2, outcome: 'complete', missing: [] },
    ])
  })

  test('a missing member that succeeds while the rest is combined is in the next revision', () => {
    const now = two
      .when(good('a'), close({ pipeline: 'stack' }))
      .after('patience')
      .when(good('b'))
    expect(now.state).toBe('gathering')
    expect(jobsOf(now.when(good(G1)))).toMatchObject([{ members: [{ jobId: 'a' }, { jobId: 'b' }] }])
  })

  test('a missing member of a group given up by policy brings it back when it succeeds', () => {
    const given = two.when(good('a'), close({ policy: 'fail' })).after('patience')
    expect(given.state).toBe('abandoned')
    expect(resultsOf(given.when(good('b')))).toMatchObject([{ revision: 2, outcome: 'complete' }])
  })

  test('a missing member that fails later brings nothing to combine', () => {
    const first = two
      .when(good('a'), close({ pipeline: 'stack' }))
      .after('patience')
      .when(good(G1))
    const later = first.when(bad('b'))
    expect(later.state).toBe('gathered')
    expect(acks(later.when(close()))).toMatchObject([{ code: 'GROUP_CLOSED' }])
  })

  test('where late members are ignored a missing one that succeeded waits for a closing command', () => {
    const configuration = aConfiguration({ groups: { ...aConfiguration().groups, late: 'ignore' } })
    const first = two
      .when(good('a'), close({ pipeline: 'stack', configuration }))
      .after('patience')
      .when(good(G1))
    const later = first.when(good('b'))
    expect(later.state).toBe('gathered')
    expect(jobsOf(later.when(close({ configuration })))).toMatchObject([{ members: [{ jobId: 'a' }, { jobId: 'b' }] }])
  })

  test('a retry stands for the job it retries, whatever its pipeline', () => {
    const first = two.when(good('a'), bad('b'), close({ pipeline: 'stack' }), good(G1))
    const again = { ...member('r', 'E2'), pipeline: 'detect', retryOf: 'b' }
    const third = { ...member('r2', 'E2'), pipeline: 'quicklook', retryOf: 'b' }
    const second = first.when(again, good('r'))
    expect(jobsOf(second)).toMatchObject([{ members: [{ jobId: 'a' }, { jobId: 'r', pipeline: 'detect' }] }])
    expect(resultsOf(second.when(good('20261122-000004-g2')))).toMatchObject([{ outcome: 'complete', failed: [] }])
    expect(
      jobsOf(first.when(again, bad('r')).when(good('20261122-000004-g2'), third, good('r2'))).at(-1),
    ).toMatchObject({
      members: [{ jobId: 'a' }, { jobId: 'r2' }],
    })
  })

  test('a retry of one that is still awaited is awaited in its place, once', () => {
    const twice = two.when({ ...member('r', 'E2'), pipeline: 'detect', retryOf: 'b' }, good('a'), close())
    expect(twice.state).toBe('closing')
    expect(resultsOf(twice.when(good('r')))).toMatchObject([{ outcome: 'complete', members: [{}, { jobId: 'r' }] }])
  })

  test('a finished group is combined again by who asks for something else', () => {
    const plain = two.when(good('a'), bad('b'), close())
    expect(jobsOf(plain.when(close({ pipeline: 'stack' })))).toMatchObject([{ members: [{ jobId: 'a' }] }])
    expect(resultsOf(plain.when(close({ policy: 'fail' })))).toMatchObject([{ revision: 2, outcome: 'failed' }])
    expect(acks(gathered.when(close({ pipeline: 'stack', policy: 'fail' })))).toMatchObject([{ code: 'GROUP_CLOSED' }])
  })

  test('a member that comes late makes the group gather again, under revision 2', () => {
    const late = gathered.when(member('c', 'E3'))
    expect(late.state).toBe('closing')
    const second = late.when(good('c'))
    expect(jobsOf(second)).toMatchObject([{ jobId: '20261122-000004-g2', members: [{}, {}, { jobId: 'c' }] }])
    expect(resultsOf(second.when(good('20261122-000004-g2')))).toMatchObject([{ revision: 2, outcome: 'complete' }])
  })

  test('a failed exposure sent again late is combined in revision 2', () => {
    const first = two.when(good('a'), bad('b'), close({ pipeline: 'stack' }), good(G1))
    expect(resultsOf(first)).toMatchObject([{ revision: 1, outcome: 'partial', failed: ['E2'] }])
    const second = first.when(member('b2', 'E2'), good('b2'), good('20261122-000004-g2'))
    expect(resultsOf(second)).toMatchObject([{ revision: 2, outcome: 'complete', failed: [] }])
  })

  test('a member accepted while the gather runs leads to one more gather after it, and is not in the first', () => {
    const late = stacking.when(member('c', 'E3'), good('c'))
    expect(late.state).toBe('gathering')
    const again = late.when(good(G1))
    expect(resultsOf(again)).toMatchObject([{ revision: 1 }])
    expect(jobsOf(again)).toMatchObject([{ jobId: '20261122-000004-g2' }])
  })

  test('a group that was given up by policy gathers when its failed member comes again', () => {
    const failed = two.when(good('a'), bad('b'), close({ policy: 'fail' }))
    expect(failed.state).toBe('abandoned')
    const again = failed.when(member('b2', 'E2'), good('b2'))
    expect(resultsOf(again)).toMatchObject([{ revision: 2, outcome: 'complete' }])
  })

  test('a late member admitted under another configuration may name a pipeline only that one has', () => {
    const { stack, ...others } = aConfiguration().pipelines
    if (!stack) throw new Error('the tests have a pipeline stack')
    const configuration = aConfiguration({ pipelines: { ...others, stack, deep: { ...stack, name: 'deep' } } })
    const late = { ...member('c', 'E3', null, { pipeline: 'deep' }), configuration }
    expect(jobsOf(gathered.when(late, good('c')))).toMatchObject([{ pipeline: { name: 'deep' } }])
  })

  test('where late members are ignored they wait for a closing command', () => {
    const ignoring = { ...aConfiguration().groups, late: 'ignore' } as const
    const configuration = aConfiguration({ groups: ignoring })
    for (const end of [good, bad]) {
      const done = two.when(end('a'), end('b'), close({ configuration }))
      const late = done.when({ ...member('c', 'E3'), configuration }, good('c'))
      expect(late).toMatchObject({ state: done.state, emissions: expect.not.arrayContaining([{ type: 'event' }]) })
      expect(resultsOf(late)).toEqual([])
      expect(resultsOf(late.when(close({ configuration })))).toMatchObject([{ revision: 2 }])
    }
  })
})

describe('gather: in a night', () => {
  const asked = (obsid: string, rules: object = {}) => ({
    dataId: { obsid },
    pipeline: 'quicklook',
    group: { id: 'G#1', ...rules },
  })

  test('a group is gathered by its own job when its last member has settled', async () => {
    const night = await createNight()
    await night.enable()
    const jobs = []
    for (const obsid of ['E1', 'E2'])
      jobs.push((await night.command('processData', asked(obsid, { expected: 2, pipeline: 'stack' })))?.jobIds[0] ?? '')
    const [a = '', b = ''] = jobs
    await night.succeeds(a)
    expect(night.state('gather.G=231')).toBe('closing')
    await night.started(b)
    await night.exited(b, { exitCode: 1 })
    expect(night.orders().at(-1)).toMatchObject({ type: 'executor.start', jobId: `${a}-g1`, members: [{ jobId: a }] })
    await night.succeeds(`${a}-g1`)
    expect(night.events('groupResult')).toMatchObject([{ group: 'G#1', outcome: 'partial', failed: ['E2'] }])
    expect(night.events('jobResult')).toHaveLength(3)
  })

  test('a failed member that is retried with another pipeline completes its group', async () => {
    const night = await createNight()
    await night.enable()
    const jobs = []
    for (const obsid of ['E1', 'E2'])
      jobs.push((await night.command('processData', asked(obsid, { expected: 2, pipeline: 'stack' })))?.jobIds[0] ?? '')
    const [a = '', b = ''] = jobs
    await night.succeeds(a)
    await night.started(b)
    await night.exited(b, { exitCode: 1 })
    await night.succeeds(`${a}-g1`)
    const again = (await night.command('retry', { group: 'G#1', pipeline: 'detect' }))?.jobIds[0] ?? ''
    await night.succeeds(again)
    await night.succeeds(`${a}-g2`)
    expect(night.events('groupResult')).toMatchObject([
      { revision: 1, outcome: 'partial', failed: ['E2'] },
      { revision: 2, outcome: 'complete', failed: [], members: [{ jobId: a }, { jobId: again, pipeline: 'detect' }] },
    ])
  })

  test('a group of exposures that were never processed is combined by one command', async () => {
    const night = await createNight()
    await night.enable()
    const command = { dataId: { group: 'G#1' }, pipeline: 'stack' }
    expect(await night.command('processData', command)).toMatchObject({ code: 'UNKNOWN_GROUP' })
    expect(await night.command('processData', { ...command, members: ['E1', 'E2'] })).toMatchObject({
      ack: ACK.COMPLETE,
    })
    const order = night.orders().at(-1)
    expect(order).toMatchObject({ type: 'executor.start', members: [{ dataId: { obsid: 'E1' } }, { jobId: null }] })
    await night.succeeds(order && 'jobId' in order ? order.jobId : '')
    expect(night.events('groupResult')).toMatchObject([{ group: 'G#1', outcome: 'complete' }])
    expect(await night.command('processData', { ...command, members: ['E1'] })).toMatchObject({ code: 'GROUP_CLOSED' })
  })

  test('the gather job can be aborted, and the group says so', async () => {
    const night = await createNight()
    await night.enable()
    const a = (await night.command('processData', asked('E1')))?.jobIds[0] ?? ''
    await night.succeeds(a)
    await night.command('closeGroup', { group: 'G#1', pipeline: 'stack' })
    await night.started(`${a}-g1`)
    expect(await night.command('abortJob', { jobId: `${a}-g1` })).toMatchObject({ ack: ACK.COMPLETE })
    await night.exited(`${a}-g1`, { signal: 'SIGTERM' })
    expect(night.events('groupResult')).toMatchObject([{ outcome: 'aborted', jobId: `${a}-g1` }])
  })

  test('standby gives every open group up and aborts its jobs; each says so once', async () => {
    const night = await createNight()
    await night.enable()
    const a = (await night.command('processData', asked('E1')))?.jobIds[0] ?? ''
    await night.started(a)
    await night.command('disable')
    await night.command('standby')
    await night.exited(a, { signal: 'SIGTERM' })
    expect(night.events('groupResult')).toMatchObject([{ outcome: 'aborted', revision: 1 }])
    expect(night.events('jobResult')).toMatchObject([{ jobId: a, outcome: { kind: 'aborted' } }])
  })
})
