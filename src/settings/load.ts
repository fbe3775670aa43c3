/**
 * Puts the settings together from three layers, each above the one before: a YAML file, the environment, and options.
 * Every value knows where it came from. A mistake is one UserError that names file, variable or option, the key, and
 * what was expected.
 */
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { hasCredentials, masked } from '../bus/serverUrl.ts'
import { sentences } from '../contract/decode.ts'
import { UserError } from '../userError.ts'
import { type Leaf, LEAVES, type Settings, SETTINGS_VARIABLE, settingsSchema } from './schema.ts'

export interface Sources {
  /** Of the option --settings; else the environment may name one. */
  readonly file?: string | undefined
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly flags?: readonly Flag[]
}

/** A value that was given with the call: its key, and what it is called there. */
export interface Flag {
  readonly key: string
  readonly flag: string
  readonly value: unknown
}

export interface Loaded {
  readonly settings: Settings
  /** Of each key: a file, `environment NATS_URL`, an option, or `default`. */
  readonly origins: ReadonlyMap<string, string>
}

interface Found {
  readonly leaf: Leaf
  readonly origin: string
  readonly value: unknown
}

type Layer = readonly Found[]

export async function loadSettings({ file, environment = process.env, flags = [] }: Sources = {}): Promise<Loaded> {
  const named = file ?? (environment[SETTINGS_VARIABLE] || undefined)
  const layers = [
    named === undefined ? [] : await fromFile(resolve(named)),
    fromEnvironment(environment),
    fromFlags(flags),
  ]
  const inForce = new Map<string, Found>()
  for (const layer of layers) {
    if (logsIn(layer)) for (const key of LOGIN_KEYS) inForce.delete(key)
    for (const found of layer) inForce.set(found.leaf.key, found)
  }
  const nested = {}
  for (const { leaf, value } of inForce.values()) put(nested, leaf.key.split('.'), value)
  const settings = settingsSchema.parse(nested)
  return {
    settings: { ...settings, dataDir: resolve(settings.dataDir) },
    origins: new Map(LEAVES.map(({ key }) => [key, inForce.get(key)?.origin ?? 'default'])),
  }
}

async function fromFile(path: string): Promise<Layer> {
  // Most processes have no file.
  const { parseDocument } = await import('yaml')
  const content = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new UserError(`the settings file ${path} cannot be read (${reason(error)}); name another with --settings`)
  })
  const document = parseDocument(content, { prettyErrors: true })
  const [mistake] = document.errors
  if (mistake) throw new UserError(`${path} is not YAML: ${mistake.message.split('\n')[0]}`)
  const value = (document.toJS() ?? {}) as unknown
  if (typeof value !== 'object' || Array.isArray(value))
    throw new UserError(`${path} must hold keys and values at its top`)
  const checked = settingsSchema.safeParse(value)
  if (!checked.success) throw new UserError(`${path}: ${sentences(checked.error)}`)
  const layer = LEAVES.flatMap((leaf): Found[] => {
    const given = get(value, leaf.key.split('.'))
    return given === undefined || given === null ? [] : [checkedAs(leaf, given, path, path, dirname(path))]
  })
  const servers = layer.find(({ leaf }) => leaf.key === SERVERS)
  if (servers !== undefined && hasPassword(servers))
    throw new UserError(
      `${path}: ${SERVERS}: a URL without a password or token is expected; put it into a file named by nats.passwordFile, or the URL into NATS_URL`,
    )
  return onlyOneLogin(layer)
}

function fromEnvironment(environment: Readonly<Record<string, string | undefined>>): Layer {
  return onlyOneLogin(
    LEAVES.flatMap((leaf): Found[] => {
      const value = leaf.env === null ? '' : (environment[leaf.env] ?? '')
      // As everywhere in OCPS: a variable that is empty is not set.
      return leaf.env === null || value === ''
        ? []
        : [checkedAs(leaf, fromText(leaf, value), `environment ${leaf.env}`, leaf.env, process.cwd())]
    }),
  )
}

function fromFlags(flags: readonly Flag[]): Layer {
  return onlyOneLogin(
    flags.map(({ key, flag, value }) => {
      const leaf = LEAVES.find(one => one.key === key)
      if (leaf === undefined) throw new Error(`invariant: ${flag} sets ${key}, which is no setting`)
      const given = typeof value === 'string' ? fromText(leaf, value) : value
      const checked = leaf.schema.safeParse(given)
      if (checked.success) return { leaf, origin: flag, value: placed(leaf, checked.data, process.cwd()) }
      throw new UserError(`${flag} ${masked(String(value))}: ${sentences(checked.error)}`)
    }),
  )
}

function checkedAs(leaf: Leaf, given: unknown, origin: string, where: string, base: string): Found {
  const checked = leaf.schema.safeParse(given)
  if (!checked.success) throw new UserError(`${where}: ${leaf.key}: ${sentences(checked.error)}`)
  return { leaf, origin, value: placed(leaf, checked.data, base) }
}

function placed({ isPath }: Leaf, value: unknown, base: string): unknown {
  return isPath && typeof value === 'string' ? resolve(base, value) : value
}

/**
 * What stands in a variable or behind an option, as the file would hold it; what it cannot be read as is left to the
 * schema to refuse.
 */
function fromText({ schema }: Leaf, text: string): unknown {
  const inner = unwrapped(schema)
  if (inner instanceof z.ZodArray) return text.split(',').map(one => one.trim())
  if (inner instanceof z.ZodBoolean) return BOOLEANS.get(text.toLowerCase()) ?? text
  if (inner instanceof z.ZodNumber) return /^\d{1,9}$/.test(text) ? Number(text) : text
  return text
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['yes', true],
  ['false', false],
  ['0', false],
  ['no', false],
])

function unwrapped(schema: z.core.$ZodType): z.core.$ZodType {
  return schema instanceof z.ZodDefault || schema instanceof z.ZodNullable ? unwrapped(schema.unwrap()) : schema
}

const SERVERS = 'nats.servers'
const LOGIN_KEYS = ['nats.credentialsFile', 'nats.nkeyFile', 'nats.user', 'nats.passwordFile']

/** Whoever names a way to log in means that one, and none of a layer below. */
function logsIn(layer: Layer): boolean {
  return layer.some(found => LOGIN_KEYS.includes(found.leaf.key) || hasPassword(found))
}

function hasPassword({ leaf, value }: Found): boolean {
  return leaf.key === SERVERS && Array.isArray(value) && value.some(url => hasCredentials(String(url)))
}

function onlyOneLogin(layer: Layer): Layer {
  const kinds = layer.filter(
    found => hasPassword(found) || (LOGIN_KEYS.includes(found.leaf.key) && found.leaf.key !== 'nats.passwordFile'),
  )
  if (kinds.length > 1) {
    const names = kinds.map(({ leaf, origin }) => `${leaf.key} (${origin})`).join(' and ')
    throw new UserError(`${names} each say how to log in to NATS; one of them is expected`)
  }
  return layer
}

function get(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inner, name) =>
      typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>)[name] : undefined,
    value,
  )
}

function put(into: Record<string, unknown>, [name = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) into[name] = value
  else put((into[name] ??= {}) as Record<string, unknown>, rest, value)
}

function reason(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
