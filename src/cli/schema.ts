import type { Command } from 'commander'
import { UserError } from '../userError.ts'
import { createOutput } from './output.ts'
import { packageVersion } from './package.ts'
import { examples, type SharedOptions } from './session.ts'

/**
 * `ocps schema`: every message and file described for machines, as JSON Schema, or all of the wire as one AsyncAPI
 * document. Needs no instance.
 */
export function addSchema(program: Command): void {
  program
    .command('schema')
    .summary('print the JSON Schema of a message or file, or the AsyncAPI document')
    .description(
      'Print the JSON Schema of a message or file; without a name, list them; asyncapi: the whole wire as AsyncAPI 3.0.',
    )
    .argument('[name]', 'which')
    .addHelpText(
      'after',
      examples(`
        ocps schema
        ocps schema jobResult > jobResult.schema.json
        ocps schema asyncapi > ocps.asyncapi.json`),
    )
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      const { json = false } = command.optsWithGlobals<SharedOptions>()
      if (name === undefined) return list(json)
      process.stdout.write(`${JSON.stringify(await documentOf(name), null, 2)}\n`)
    })
}

const ASYNCAPI = 'asyncapi'

async function documentOf(name: string): Promise<object> {
  // Loaded here, so that other verbs do not load it.
  const [{ catalogue, jsonSchemaOf }, { asyncApi }] = await Promise.all([
    import('../contract/catalogue.ts'),
    import('../contract/asyncapi.ts'),
  ])
  if (name === ASYNCAPI) return asyncApi(packageVersion())
  const found = catalogue.find(one => one.name === name)
  if (found) return jsonSchemaOf(found)
  throw new UserError(
    `there is no schema ${JSON.stringify(name)}; there are ${[...catalogue.map(one => one.name), ASYNCAPI].join(', ')}`,
  )
}

async function list(json: boolean): Promise<void> {
  const { catalogue } = await import('../contract/catalogue.ts')
  const all: { name: string; kind: string; about: string }[] = [
    ...catalogue.map(({ name, kind, about }) => ({ name, kind, about })),
    { name: ASYNCAPI, kind: 'document', about: 'The whole wire, as AsyncAPI 3.0' },
  ]
  const widest = (of: 'name' | 'kind') => Math.max(...all.map(one => one[of].length))
  const lines = all.map(
    ({ name, kind, about }) => `${name.padEnd(widest('name'))}  ${kind.padEnd(widest('kind'))}  ${about}`,
  )
  createOutput(json).say(lines.join('\n'), all)
}
