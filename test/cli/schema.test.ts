import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { catalogue } from '../../src/contract/catalogue.ts'
import { buildIfMissing, ocps } from './run.ts'

let cwd = ''
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'ocps-schema-'))
  await buildIfMissing()
})
afterAll(() => rm(cwd, { recursive: true, force: true }))

describe('ocps schema', () => {
  test('lists what there is, one per line', async () => {
    const { code, stdout } = await ocps(['schema'], { cwd })
    expect(code).toBe(0)
    const names = stdout
      .trimEnd()
      .split('\n')
      .map(line => line.split(' ')[0])
    expect(names).toEqual([...catalogue.map(({ name }) => name), 'asyncapi'])
  })

  test('with --json the list is one document', async () => {
    const { stdout } = await ocps(['schema', '--json'], { cwd })
    expect(JSON.parse(stdout)).toContainEqual({
      name: 'jobResult',
      kind: 'event',
      about: expect.any(String) as unknown,
    })
  })

  test('prints the JSON Schema of one', async () => {
    const { code, stdout } = await ocps(['schema', 'execute'], { cwd })
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      title: 'execute',
      type: 'object',
      required: ['pipeline', 'data_query'],
      additionalProperties: false,
    })
  })

  test('prints the whole wire as AsyncAPI, with the version of the package', async () => {
    const { code, stdout } = await ocps(['schema', 'asyncapi'], { cwd })
    const version = (await ocps(['--version'], { cwd })).stdout.trim()
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ asyncapi: '3.0.0', info: { version } })
  })

  test('a name there is not is refused with those there are', async () => {
    const { code, stderr, stdout } = await ocps(['schema', 'jobresult'], { cwd })
    expect(code).not.toBe(0)
    expect(stdout).toBe('')
    expect(stderr).toContain('there is no schema "jobresult"')
    expect(stderr).toContain('jobResult')
  })
})
