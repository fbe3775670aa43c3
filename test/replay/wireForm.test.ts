import { describe, expect, test } from 'vitest'
import type { Command } from '../../machines/domain/commands.ts'
import { type CommandBody, type CommandName, checkCommand, commandSchemas } from '../../src/contract/commands.ts'
import { decodeCommand } from '../../src/contract/decode.ts'
import { jobsNamedBy, wireForm } from '../../src/replay/wireForm.ts'
import { aCaller } from '../harness.ts'

type Said = { [N in CommandName]: readonly CommandBody<N>[] }

const group = '2026-11-22T22:59:05.721#1'
const said: Said = {
  start: [{}, { configurationOverride: 'night.yaml' }],
  reload: [{}],
  enable: [{}],
  disable: [{}],
  standby: [{}],
  exitControl: [{}],
  pause: [{}],
  resume: [{}],
  setLogLevel: [{ level: 10 }, { level: 30, subsystem: 'queue' }],
  abortJob: [{ jobId: 'j1' }],
  closeGroup: [{ group }, { group, pipeline: 'stack', policy: 'skip', patience: 12.5 }],
  retry: [
    { jobId: 'j1' },
    { obsid: 'E1', pipeline: 'other' },
    { group, overrides: { a: 1 } },
    { dayObs: 20261122, version: 'w1' },
  ],
  processData: [
    { dataId: { obsid: 'E1' }, pipeline: 'look' },
    { dataId: { obsid: 'E1', instrument: 'LSSTCam', detector: [1, 2] }, pipeline: 'look', group },
    { dataId: { obsid: 'E1', detector: 94 }, pipeline: 'look', readiness: 'skip', priority: -3, version: 'w_2026_46' },
    {
      dataId: { obsid: 'E1' },
      pipeline: 'look',
      group: { id: group, expected: 3, deadline: 60, policy: 'fail', patience: 5, pipeline: 'stack' },
      overrides: { threshold: 4.5, mode: 'fast', plots: false },
      configFile: 'deep.yaml',
      after: ['j1', { jobId: 'j2', requires: 'settled' }],
      readiness: { waitFor: 12.5 },
      timeLimit: 90,
    },
    { dataId: { group }, pipeline: 'stack' },
    { dataId: { group, detector: 94, instrument: 'LSSTCam' }, pipeline: 'stack', members: ['E1', 'E2'] },
    { dataId: { group }, pipeline: 'stack', group: { id: group, policy: 'skip', patience: 3 }, timeLimit: 20 },
  ],
}

describe.each(Object.keys(commandSchemas))('%s', name => {
  test('is sent again as it was understood', () => {
    const commandName = name as CommandName
    for (const body of said[commandName]) {
      const decoded = understood(commandName, body, 'LATISS')
      const stamps = { caller: aCaller('m1'), ...(name === 'abortJob' ? {} : { jobId: 'stamped' }) }
      const form = wireForm({ ...decoded, ...stamps } as Command, jobId => jobId)
      expect(form.name).toBe(name)
      expect(understood(commandName, form.body, 'LATISS')).toEqual(decoded)
    }
  })
})

const query = "instrument='LATISS' AND exposure=2026112200017"

describe('what a script for the Python OCPS sent is sent again as it was understood:', () => {
  test.each([
    ['execute', { pipeline: 'look', data_query: query }],
    ['execute', { pipeline: 'look.yaml', version: 'w_2026_46', data_query: `${query} AND detector IN (94)` }],
    [
      'execute',
      { pipeline: 'look', data_query: "exposure.obs_id='E1' AND instrument='LSSTCam'", prereq_jobs: 'j1, j2' },
    ],
    [
      'execute',
      { pipeline: 'look', data_query: query, config: `-c isr:doFlat=False a=4.50 b=-1e-7 c='5' d="True" deep.yaml` },
    ],
    ['execute', { pipeline: 'look', data_query: query, config: `a="it's" b='say "so"' c='x y' d= e=x'y z'"w" f=0x10` }],
    ['execute', { pipeline: 'look', data_query: query, output_dataset_types: 'bias,dark' }],
    ['abort_job', { job_id: 'j1' }],
  ])('%s %j', (name, body) => {
    const decoded = decoding(name, body)
    const form = wireForm(
      { ...decoded, caller: aCaller('m1'), ...(name === 'execute' && { jobId: 'stamped' }) } as Command,
      jobId => jobId,
    )
    expect(form.name).toBe(name)
    expect(decoding(name, form.body)).toEqual(decoded)
  })

  test('with the jobs it names translated', () => {
    const execute = decoding('execute', { pipeline: 'look', data_query: query, prereq_jobs: 'j1,j2' })
    const command = { ...execute, caller: aCaller('m1'), jobId: 'stamped' } as Command
    expect(wireForm(command, jobId => `new-${jobId}`).body).toMatchObject({ prereq_jobs: 'new-j1,new-j2' })
    const abort = { ...decoding('abort_job', { job_id: 'j1' }), caller: aCaller('m2') } as Command
    expect(wireForm(abort, jobId => `new-${jobId}`)).toEqual({ name: 'abort_job', body: { job_id: 'new-j1' } })
  })
})

function decoding(name: string, body: object) {
  const decoded = decodeCommand(name, new TextEncoder().encode(JSON.stringify(body)), 'LATISS')
  if (!decoded.ok) throw new Error(decoded.refusal.reason)
  return decoded.command
}

test('jobs that a command names are translated', () => {
  const after = understood('processData', said.processData[3], 'LATISS')
  const command = { ...after, caller: aCaller('m1'), jobId: 'stamped' } as Command
  expect(jobsNamedBy(command)).toEqual(['j1', 'j2'])
  expect(wireForm(command, jobId => `new-${jobId}`).body['after']).toEqual([
    { jobId: 'new-j1', requires: 'success' },
    { jobId: 'new-j2', requires: 'settled' },
  ])
  const abort = { type: 'command.abortJob', jobId: 'j1', caller: aCaller('m2') } as const
  expect(wireForm(abort, jobId => `new-${jobId}`).body).toEqual({ jobId: 'new-j1' })
})

function understood(name: CommandName, body: unknown, instance: string) {
  const checked = checkCommand(name, body, instance)
  if (!checked.ok) throw checked.error
  return checked.command
}
