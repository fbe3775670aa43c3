/**
 * The tables of the README pages that follow from the code: each stands between `<!-- table: NAME -->` and `<!-- end
 * -->`. `write.ts` writes them, `pages.test.ts` finds those that are not current.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import type { z } from 'zod'
import { OUTCOME_CODES } from '../../machines/domain/outcome.ts'
import { REFUSALS } from '../../machines/domain/refusals.ts'
import { packageDirectory } from '../../src/cli/package.ts'
import { catalogue, type Kind } from '../../src/contract/catalogue.ts'
import { processData } from '../../src/contract/commands.ts'
import { configurationSchema, pipelineSchema } from '../../src/contract/configuration.ts'
import { QUERY_ERRORS } from '../../src/contract/queryErrors.ts'
import { OBSERVATIONS } from '../../src/observer.ts'
import { DAMAGES } from '../../src/journal/port.ts'
import { LEAVES } from '../../src/settings/schema.ts'

/** Of the checkout, also when this runs compiled. */
export const root = pathToFileURL(`${packageDirectory()}/`)

/** Pages with generated tables. */
export const PAGES = ['config/README.md', 'src/client/README.md', 'src/pipelines/README.md', 'test/README.md']

const TABLES: Readonly<Record<string, () => string>> = {
  refusals: () => table('Code', Object.entries(REFUSALS)),
  queryErrors: () => table('Code', Object.entries(QUERY_ERRORS)),
  damages: () =>
    table(
      'Code',
      Object.entries(DAMAGES).map(([code, text]) => [`JOURNAL_${code}`, text] as const),
    ),
  outcomes: () => table('Code', Object.entries(OUTCOME_CODES)),
  configuration: () => table('Key', leaves(configurationSchema.shape, '')),
  pipeline: () => table('Key', leaves(pipelineSchema.shape, '', false)),
  processData: () => table('Field', leaves(processData.shape, '', false)),
  commands: () => table('Command', ofKind('command')),
  events: () => table('Event', ofKind('event')),
  telemetry: () => table('Topic', ofKind('telemetry')),
  settings: () => table('Key', settings()),
  observations: () => table('Name', observations()),
  conformance: () => table('Case', conformance()),
}

/** A page with its tables as the code has them now. Throws where it names a table that there is none of. */
export function current(page: string): string {
  return page.replaceAll(
    /(<!-- table: (\w+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_all, head: string, name: string, end: string) => {
      const make = TABLES[name]
      if (make === undefined) throw new Error(`there is no table ${name}; there are ${Object.keys(TABLES).join(', ')}`)
      return `${head}${make()}\n${end}`
    },
  )
}

function table(first: string, rows: readonly (readonly [name: string, text: string])[]): string {
  for (const [name, text] of rows) if (text === '') throw new Error(`${name} has no description in its schema`)
  return [
    `| ${first} | |`,
    '|---|---|',
    ...rows.map(([name, text]) => `| \`${name}\` | ${text.replaceAll('|', '\\|')} |`),
  ].join('\n')
}

type Row = [name: string, text: string]

/** Each key with the words of its schema, those of nested objects spelled with dots where `isDeep`. */
function leaves(shape: Readonly<Record<string, z.ZodType>>, path: string, isDeep = true): Row[] {
  return Object.entries(shape).flatMap(([key, schema]): Row[] => {
    const inner = (schema as { shape?: Record<string, z.ZodType> }).shape
    return isDeep && inner !== undefined && schema.description === undefined
      ? leaves(inner, `${path}${key}.`)
      : [[`${path}${key}`, schema.description ?? '']]
  })
}

function ofKind(kind: Kind): Row[] {
  return catalogue.filter(one => one.kind === kind).map(({ name, about }): Row => [name, about])
}

/** Each key with its variable and its option. */
function settings(): Row[] {
  return LEAVES.map(({ key, about, env, flag }): Row => {
    const names = [env, flag].flatMap(name => (name === null ? [] : [`\`${name}\``]))
    return [key, about === '' || names.length === 0 ? about : `${about} (${names.join(', ')})`]
  })
}

function observations(): Row[] {
  return Object.entries(OBSERVATIONS).map(([name, { as, by, says }]): Row => {
    const how = by === null ? as : `${as}, by ${by}`
    return [name, `${says} (${how})`]
  })
}

function conformance(): Row[] {
  const here = new URL('test/conformance/', root)
  const titles = readdirSync(here)
    .filter(name => name.endsWith('.test.ts'))
    .flatMap(name => [...readFileSync(new URL(name, here), 'utf8').matchAll(/'((\d+) ([SODB])): (.+?)',? ?/g)])
  const rows = titles.map(
    ([, , number = '', letter = '', text = '']): Row => [`${number} ${letter}`, text.replaceAll('\\', '')],
  )
  return rows.sort(([a], [b]) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
}
