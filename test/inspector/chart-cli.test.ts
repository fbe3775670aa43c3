import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildIfMissing, ocps as run } from '../cli/run.ts'

let cwd: string
const chart = (...args: string[]) => run(['chart', ...args], { cwd })

beforeAll(async () => {
  await buildIfMissing()
  cwd = await mkdtemp(join(tmpdir(), 'ocps-chart-'))
}, 60_000)
afterAll(() => rm(cwd, { recursive: true, force: true }))

test('ocps chart writes the picture that is in the README, without an instance', async () => {
  const { code, stdout, stderr } = await chart('shelf')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toBe(await readFile(new URL('../charts/shelf.svg', import.meta.url), 'utf8'))
})

test('--state lights a state, by its name or by where it is', async () => {
  const [byName, byPath] = await Promise.all([
    chart('queue', '--state', 'paused'),
    chart('queue', '--state', 'open.paused'),
  ])
  expect(byName.stdout).toContain('is-active" data-state="queue.open.paused"')
  expect(byPath.stdout).toBe(byName.stdout)
})

test('--format json lists states and transitions with the ids they have in the picture', async () => {
  const { stdout } = await chart('reply', '--format', 'json')
  const document = JSON.parse(stdout) as { edges: { id: string }[]; states: { id: string }[] }
  expect(document.edges.map(({ id }) => id)).toContain('reply.waiting|after renewal|0')
  expect(document.states.map(({ id }) => id)).toEqual(['reply', 'reply.waiting', 'reply.answered'])
})

test('a machine or state that is not there is a mistake of usage, answered with those that are', async () => {
  const [machine, state] = await Promise.all([chart('kettle'), chart('csc', '--state', 'asleep')])
  expect(machine.code).toBe(2)
  expect(machine.stderr).toContain('csc, queue, job, gather, reply, shelf')
  expect(state.code).toBe(2)
  expect(state.stderr).toBe('ocps: csc has no state "asleep"; it has standby, disabled, enabled, fault, offline\n')
})
