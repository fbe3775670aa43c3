import type { z } from 'zod'
import { parse, quoted, sentences } from './decode.ts'
import { querySchemas } from './queries.ts'
import type { QueryError } from './queryErrors.ts'

/** From bytes to a query, or to the error that names what is wrong and where. Never throws, whatever the bytes. */
export type Query = {
  [N in QueryName]: { readonly name: N } & z.output<(typeof querySchemas)[N]['request']>
}[QueryName]

type QueryName = keyof typeof querySchemas

export type QueryDecoding =
  | { readonly ok: true; readonly query: Query }
  | { readonly ok: false; readonly error: QueryError }

export function decodeQuery(name: string, body: Uint8Array): QueryDecoding {
  if (!isQueryName(name))
    return bad('UNKNOWN_QUERY', `there is no query ${quoted(name)}; there are ${Object.keys(querySchemas).join(', ')}`)
  const json = parse(body)
  if (!json.ok) return bad('BAD_REQUEST', `${name}: ${json.reason}`)
  const { success, data, error } = querySchemas[name].request.safeParse(json.value)
  return success ? { ok: true, query: { name, ...data } as Query } : bad('BAD_REQUEST', `${name}: ${sentences(error)}`)
}

function isQueryName(name: string): name is QueryName {
  return Object.hasOwn(querySchemas, name)
}

function bad(code: QueryError['code'], error: string): QueryDecoding {
  return { ok: false, error: { code, error } }
}
