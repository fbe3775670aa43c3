import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { expect, test } from 'vitest'
import { OUTCOME_CODES } from '../machines/domain/outcome.ts'
import { REFUSALS } from '../machines/domain/refusals.ts'
import { buildProgram } from '../src/cli/program.ts'
import { commandSchemas, processData } from '../src/contract/commands.ts'
import { eventSchemas, telemetrySchemas } from '../src/contract/events.ts'
import { decodeCommand } from '../src/contract/decode.ts'
import { configurationSchema, pipelineSchema } from '../src/contract/configuration.ts'
import { QUERY_ERRORS } from '../src/contract/queryErrors.ts'
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

test('the README explains every code a query can fail with, in the words of the code', () => {
  for (const [code, text] of Object.entries(QUERY_ERRORS)) expect(rows.get(code), code).toBe(text)
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

/** Every command the README tells to run, in code blocks and in `code`, as words; what the shell would fill in is one word. */
const told = [...readme.matchAll(/^ {4}(.*)$|`((?:npx|npm) [^`]+)`/gm)]
  .flatMap(([, line = '', inline = '']) => (line || inline).split(/ && |; /))
  .map(part => part.replace(/ +(?:# |> ).*/, '').replaceAll(/\$\([^)]*\)/g, 'FILLED'))
  .map((part): readonly string[] => part.match(/'[^']*'|"[^"]*"|\S+/g) ?? [])
  .filter(([first = '']) => ['npx', 'npm'].includes(first))

test('every npm script the README tells to run exists', () => {
  const names = told.flatMap(([program, verb = '', name = '']) => {
    if (program !== 'npm' || verb === 'ci') return []
    return [verb === 'run' ? name : verb]
  })
  expect(names).toEqual(expect.arrayContaining(['demo', 'test', 'start', 'chaos', 'bench:gate', 'simulate:mutants']))
  for (const name of names) expect(Object.keys(scripts), name).toContain(name)
})

test('every command line of the README is understood by the command line, options included', () => {
  const lines = told.flatMap(words => {
    if (words[0] === 'npx' && words[1] === 'ocps') return words.length > 2 ? [words.slice(2)] : []
    // `npm run demo -- --keep demo`: the options are those of the verb that the script ends with.
    const name = words[1] === 'run' ? (words[2] ?? '') : (words[1] ?? '')
    const own = /&& node dist\/src\/cli\/main\.js ([^;&]*)$/.exec(scripts[name] ?? '')?.[1]
    const more = words.indexOf('--')
    return own === undefined ? [] : [[...own.split(' '), ...(more === -1 ? [] : words.slice(more + 1))]]
  })
  expect(lines.length).toBeGreaterThan(25)
  for (const line of lines) expect(problemWith(line), line.join(' ')).toBeNull()
})

test('what the README sends with another NATS client is a command, and what it listens to is said', () => {
  const sent = [...readme.matchAll(/nats req ocps\.(\w+)\.cmd\.(\w+) '(.*)'/g)]
  expect(sent.length).toBeGreaterThan(0)
  for (const [, instance = '', name = '', body = ''] of sent)
    expect(decodeCommand(name, Buffer.from(body), instance), name).toMatchObject({ ok: true })
  const heard = [...readme.matchAll(/nats sub '?ocps\.\w+\.(evt|tel)\.(\w+)/g)]
  expect(heard.length).toBeGreaterThan(0)
  for (const [, kind, topic = ''] of heard)
    expect(Object.keys(kind === 'evt' ? eventSchemas : telemetrySchemas), topic).toContain(topic)
})

test('a command line with an unknown verb, an unknown option or a missing argument is noticed', () => {
  expect(problemWith(['proces', 'A'])).toContain('proces')
  expect(problemWith(['replay', 'night.ndjson.gz', '--sett', 'slots=4'])).toContain('--sett')
  expect(problemWith(['job'])).toContain('argument')
})

/** What the command line finds wrong with these words, without doing anything; null: nothing. */
const program = await buildProgram()

function problemWith(words: readonly string[]): string | null {
  const [first = '', ...rest] = words
  if (first === 'help') return rest.length === 0 ? null : problemWithVerb(program, rest[0] ?? '', ['--help'])
  return problemWithVerb(program, first, rest)
}

function problemWithVerb(program: Command, verb: string, rest: readonly string[]): string | null {
  const command = program.commands.find(one => one.name() === verb || one.aliases().includes(verb))
  if (command === undefined) return `there is no verb ${verb}`
  if (rest[0] === '--help') return null
  const [below] = rest
  const inner = command.commands.find(one => one.name() === below)
  if (inner !== undefined) return problemWithVerb(command, inner.name(), rest.slice(1))
  // Options of all verbs may stand behind the verb, too.
  const shared = program.parseOptions([...rest])
  const { operands, unknown } = command.parseOptions([...shared.operands, ...shared.unknown])
  if (unknown.length > 0) return `${verb} does not know ${unknown.join(' ')}`
  const declared = command.registeredArguments
  const needed = declared.filter(argument => argument.required).length
  if (operands.length < needed) return `${verb} misses an argument`
  const isEndless = declared.at(-1)?.variadic === true
  return operands.length > declared.length && !isEndless ? `${verb} takes ${declared.length} arguments` : null
}

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
