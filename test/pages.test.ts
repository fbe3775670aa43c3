import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Command } from 'commander'
import { expect, test } from 'vitest'
import { buildProgram } from '../src/cli/program.ts'
import { pipelineSchema } from '../src/contract/configuration.ts'
import { decodeCommand } from '../src/contract/decode.ts'
import { eventSchemas, telemetrySchemas } from '../src/contract/events.ts'
import { placeholders } from '../src/executor/commandLine.ts'
import { current, PAGES } from './pages/tables.ts'

/* The README pages are tested like code: commands with their options, tables, links, sizes. */

const root = new URL('../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), 'utf8')
const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
}).split('\n')
const pages = tracked.filter(path => path.endsWith('.md'))
const scripts = (JSON.parse(read('package.json')) as { scripts: Record<string, string> }).scripts

// One page for somebody who tries it out; whatever else there is to say stands beside what it is about.
const README_BYTES_MAX = 9_500

test('the README is short enough for a newcomer', () => {
  expect(Buffer.byteLength(read('README.md'))).toBeLessThanOrEqual(README_BYTES_MAX)
})

test.each(PAGES)('the tables of %s are those of the code; "npm run pages" writes them', path => {
  expect(read(path)).toContain('<!-- table: ')
  expect(read(path)).toBe(current(read(path)))
})

test('the placeholders that the page of pipelines names are those a command may hold', () => {
  expect(placeholders(pipelineSchema.shape.command.description ?? '')).toEqual([
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

test.each(pages)('every link and picture of %s leads somewhere', path => {
  for (const [, target = ''] of read(path).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^https?:/.test(target)) continue
    const [file = '', anchor = ''] = target.split('#')
    const there =
      file === '' ? path : new URL(file, new URL(`${dirname(path)}/`, root)).pathname.slice(root.pathname.length)
    expect(existsSync(new URL(there, root)), target).toBe(true)
    if (anchor === '') continue
    const anchors = [...read(there).matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replaceAll(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    )
    expect(anchors, target).toContain(anchor)
  }
})

/**
 * Every command that the pages tell to run, in code blocks and in `code`, as words; what the shell would fill in is one
 * word.
 */
const told = pages
  .flatMap(path => [...read(path).matchAll(/^ {4}(.*)$|`((?:npx|npm) [^`]+)`/gm)])
  .flatMap(([, line = '', inline = '']) => (line || inline).split(/ && |; /))
  .map(part => part.replace(/ +(?:# |> ).*/, '').replaceAll(/\$\([^)]*\)/g, 'FILLED'))
  .map((part): readonly string[] => part.match(/'[^']*'|"[^"]*"|\S+/g) ?? [])
  .filter(([first = '']) => ['npx', 'npm'].includes(first))

const all = pages.map(read).join('\n')

test('every npm script the pages tell to run exists', () => {
  const names = told.flatMap(([program, verb = '', name = '']) => {
    if (program !== 'npm' || ['ci', 'pack', 'install'].includes(verb)) return []
    return [verb === 'run' ? name : verb]
  })
  expect(names).toEqual(expect.arrayContaining(['demo', 'test', 'start', 'chaos', 'bench:gate', 'simulate:mutants']))
  for (const name of names) expect(Object.keys(scripts), name).toContain(name)
})

test('every command line of the pages is understood by the command line, options included', () => {
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

test('what the pages send with another NATS client is a command, and what they listen to is said', () => {
  const sent = [...all.matchAll(/nats req ocps\.(\w+)\.cmd\.(\w+) '(.*)'/g)]
  expect(sent.length).toBeGreaterThan(0)
  for (const [, instance = '', name = '', body = ''] of sent)
    expect(decodeCommand(name, Buffer.from(body), instance), name).toMatchObject({ ok: true })
  const heard = [...all.matchAll(/nats sub '?ocps\.\w+\.(evt|tel)\.(\w+)/g)]
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
  const map = [...read('src/README.md').matchAll(/^ {4}((?:src|machines|test)[/\w]*) {2,}/gm)].map(
    ([, path = '']) => path,
  )
  for (const path of map) expect(existsSync(new URL(path, root)), path).toBe(true)
  const folders = tracked.flatMap(path => /^src\/[^/\n]+(?=\/)/.exec(path)?.[0] ?? [])
  for (const folder of new Set(folders)) expect(map, folder).toContain(folder)
})
