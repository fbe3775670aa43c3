import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { OUTCOME_CODES } from '../machines/domain/outcome.ts'
import { REFUSALS } from '../machines/domain/refusals.ts'
import { commandSchemas, processData } from '../src/contract/commands.ts'
import { configurationSchema, pipelineSchema } from '../src/contract/configuration.ts'
import { placeholders } from '../src/executor/commandLine.ts'
import { DAMAGES } from '../src/journal/port.ts'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
const scripts = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { scripts: Record<string, string> }
).scripts

/** `code` in the first column of the README's tables, with the text beside it. */
const rows = new Map(
  [...readme.matchAll(/^\| `([^`]+)` \| (.*) \|$/gm)].map(([, code = '', text = '']) => [code, text]),
)

test('the README explains every refusal code, in the words of the code', () => {
  for (const [code, text] of Object.entries(REFUSALS)) expect(rows.get(code), code).toBe(text)
})

test('the README explains every outcome code, in the words of the code', () => {
  for (const [code, text] of Object.entries(OUTCOME_CODES)) expect(rows.get(code), code).toBe(text)
})

test('the README explains every damage of a journal, in the words of the code', () => {
  for (const [code, text] of Object.entries(DAMAGES)) expect(rows.get(`JOURNAL_${code}`), code).toBe(text)
})

test('the README explains every key of the configuration, in the words of its schema', () => {
  const keys = leaves(configurationSchema.shape, '')
  expect(keys.length).toBeGreaterThan(8)
  for (const [key, text] of keys) expect(rows.get(key), key).toBe(text)
})

test('the README names every key of a pipeline and of processData, and every command', () => {
  for (const key of [
    ...Object.keys(pipelineSchema.shape),
    ...Object.keys(processData.shape),
    ...Object.keys(commandSchemas),
  ])
    expect(readme, key).toContain(`\`${key}\``)
})

test('the placeholders of the README are those a command may hold', () => {
  const line = readme.split('\n').find(one => one.startsWith('| `command` | an argv')) ?? ''
  expect(placeholders(line)).toEqual([
    'node',
    'pipelines',
    'input',
    'members',
    'jobId',
    'obsid',
    'detector',
    'group',
    'instrument',
    'version',
    'workDir',
    'configFile',
    'override.NAME',
  ])
})

test('every npm script the README tells to run exists', () => {
  const told = [...readme.matchAll(/npm (?:run )?(demo|test|start|bench|build|format|check)\b/g)].map(
    ([, name = '']) => name,
  )
  expect(told).toContain('demo')
  for (const name of told) expect(scripts, name).toHaveProperty(name)
})

test('every command line of the README is understood by the command line', () => {
  const main = new URL('../dist/src/cli/main.js', import.meta.url).pathname
  const verbs = new Set(
    [...readme.matchAll(/npx ocps (?:help )?([a-z-]+)/g)].map(([, verb = '']) => verb).filter(verb => verb !== 'help'),
  )
  expect(verbs.size).toBeGreaterThan(4)
  for (const verb of verbs)
    expect(execFileSync(process.execPath, [main, 'help', verb], { encoding: 'utf8' }), verb).toContain(verb)
})

test('every folder of the map exists, and every folder is on the map', () => {
  const map = [...readme.matchAll(/^ {4}((?:src|machines|test)[/\w]*) {2,}/gm)].map(([, path = '']) => path)
  for (const path of map) expect(existsSync(new URL(`../${path}`, import.meta.url)), path).toBe(true)
  const folders =
    execFileSync('git', ['ls-files', 'src'], { cwd: new URL('..', import.meta.url), encoding: 'utf8' }).match(
      /^src\/[^/\n]+(?=\/)/gm,
    ) ?? []
  for (const folder of new Set(folders)) expect(map, folder).toContain(folder)
})

function leaves(shape: Record<string, unknown>, path: string): [string, string | undefined][] {
  return Object.entries(shape).flatMap(([key, schema]): [string, string | undefined][] => {
    const { description, shape: inner } = schema as { description?: string; shape?: Record<string, unknown> }
    return inner && description === undefined ? leaves(inner, `${path}${key}.`) : [[`${path}${key}`, description]]
  })
}
