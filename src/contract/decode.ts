import type { z } from 'zod'
import type { Refusal } from '../../machines/domain/refusals.ts'
import { checkCommand, type Checked, commandSchemas, type CommandName, type Decoded } from './commands.ts'
import { executeSchemas, mapExecute } from './execute.ts'

/**
 * From bytes to a command, or to a refusal that names what is wrong and where. Never throws, whatever the bytes.
 */
export type Decoding =
  | { readonly ok: true; readonly command: Decoded }
  | { readonly ok: false; readonly refusal: Refusal }

/** In our words or in those of the Python OCPS. */
export function decodeCommand(name: string, body: Uint8Array, instance: string): Decoding {
  return isOfPythonOcps(name)
    ? decodeExecute(name, body, instance)
    : decodeOwn(name, body, instance, Object.keys(executeSchemas))
}

/** In our words alone; `others`: what else is heard, named to who sends what nobody knows. */
export function decodeOwn(name: string, body: Uint8Array, instance: string, others: Iterable<string>): Decoding {
  if (!isCommandName(name))
    return refuse(
      'UNKNOWN_COMMAND',
      `there is no command ${quoted(name)}; there are ${[...Object.keys(commandSchemas), ...others].join(', ')}`,
    )
  const json = parse(body)
  if (!json.ok) return refuse('MALFORMED', `${name}: ${json.reason}`)
  return said(name, checkCommand(name, json.value, instance))
}

/** In the words of the Python OCPS. */
export function decodeExecute(name: keyof typeof executeSchemas, body: Uint8Array, instance: string): Decoding {
  const json = parse(body)
  return json.ok ? said(name, mapExecute(name, json.value, instance)) : refuse('MALFORMED', `${name}: ${json.reason}`)
}

function said(name: string, checked: Checked): Decoding {
  return checked.ok ? checked : refuse('MALFORMED', `${name}: ${sentences(checked.error)}`)
}

export function isCommandName(name: string): name is CommandName {
  return Object.hasOwn(commandSchemas, name)
}

function isOfPythonOcps(name: string): name is keyof typeof executeSchemas {
  return Object.hasOwn(executeSchemas, name)
}

// A message with a hundred mistakes is answered with the first few; the sender mends them and sees the rest.
const SENTENCES_MAX = 3

/** zod's findings as one line for a person: where, and what was expected. */
export function sentences(error: z.ZodError): string {
  const found = error.issues.flatMap(flatten)
  const shown = found.slice(0, SENTENCES_MAX).map(({ path, message }) => (path ? `${path}: ${message}` : message))
  return shown.join('; ') + (found.length > SENTENCES_MAX ? `; and ${found.length - SENTENCES_MAX} more` : '')
}

function flatten(issue: z.core.$ZodIssue): { path: string; message: string }[] {
  const path = issue.path
    .map(part => (typeof part === 'symbol' ? String(part) : String(part).slice(0, QUOTED_MAX)))
    .join('.')
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map(key => ({
      path: [path, key.slice(0, QUOTED_MAX)].filter(Boolean).join('.'),
      message: 'unknown field',
    }))
  if (issue.code === 'invalid_union' && issue.errors.length > 0)
    return closest(issue.errors).flatMap(one => flatten({ ...one, path: [...issue.path, ...one.path] }))
  return [{ path, message: lowerFirst(issue.message) }]
}

/** Of a union's alternatives the one that went furthest before it failed: the sender meant that one. */
function closest(alternatives: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] {
  const depth = (issues: readonly z.core.$ZodIssue[]) =>
    Math.max(0, ...issues.map(issue => issue.path.length * 2 + (issue.code === 'invalid_type' ? 0 : 1)))
  return alternatives.toSorted((one, other) => depth(other) - depth(one))[0] ?? []
}

const QUOTED_MAX = 64

export function quoted(text: string): string {
  return JSON.stringify(text.slice(0, QUOTED_MAX))
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}

function refuse(code: Refusal['code'], reason: string): Decoding {
  return { ok: false, refusal: { code, reason } }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** An empty message stands for an empty object, so that `nats req … ''` works for commands without fields. */
export function parse(body: Uint8Array): { ok: true; value: unknown } | { ok: false; reason: string } {
  try {
    const text = utf8.decode(body).trim()
    return {
      ok: true,
      value: text === '' ? {} : mayNamePrototype(text) ? JSON.parse(text, withoutPrototype) : JSON.parse(text),
    }
  } catch (error) {
    if (error instanceof PrototypeNamed) return { ok: false, reason: error.message }
    const why = error instanceof Error ? error.message.slice(0, 200) : 'unreadable'
    return { ok: false, reason: `the message is not JSON: ${why}` }
  }
}

/**
 * Looking at every key takes several times as long as all the parsing; without an escape no key can be spelled in
 * another way.
 */
function mayNamePrototype(text: string): boolean {
  return text.includes('__proto__') || text.includes('\\')
}

class PrototypeNamed extends Error {}

/** The one key zod passes over in silence, where every other unknown one is refused by name. */
function withoutPrototype(key: string, value: unknown): unknown {
  if (key === '__proto__') throw new PrototypeNamed('__proto__: unknown field')
  return value
}
