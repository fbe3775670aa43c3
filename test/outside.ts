/**
 * Programs from outside that some tests want. Each is found, or brought by npm, or what needs it is skipped with one
 * sentence that says how to get it; with CI set, missing is failing (`reporter.ts`). Nothing is installed here.
 */
import { execFileSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface Program {
  /** Whoever wants it found elsewhere names it in this variable. */
  readonly variable: string | null
  /** By any of these names, on PATH or where distributions put it. */
  readonly names: readonly string[]
  /** Ends "…: not found; ". */
  readonly get: string
  /** The argument that asks for its version, where that is not --version. */
  readonly askVersion?: string
}

export const programs = {
  chromium: {
    variable: 'CHROMIUM',
    names: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'],
    get: 'install Chromium or Chrome, or name one with CHROMIUM; the one npm brings does not start on this machine',
  },
  sourceExtractor: {
    variable: null,
    names: ['source-extractor', 'sex'],
    get: 'install SExtractor (Debian: source-extractor)',
  },
  compiler: {
    variable: null,
    names: ['cc'],
    get: 'install a C compiler (Debian: gcc and libc6-dev)',
  },
  perl: { variable: null, names: ['perl'], get: 'install Perl (Debian: perl-base)' },
  openssl: {
    variable: null,
    names: ['openssl'],
    get: 'install OpenSSL (Debian: openssl)',
    askVersion: 'version',
  },
  script: { variable: null, names: ['script'], get: 'install util-linux’s script (Debian: bsdutils)' },
} as const satisfies Record<string, Program>

export type ProgramName = keyof typeof programs

const USUAL = ['/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/opt/homebrew/bin']

/**
 * The path of a program that runs when asked for its version, or null. A file that is there and does not run counts as
 * missing.
 */
export function find(name: ProgramName): string | null {
  const { variable, names, askVersion = '--version' }: Program = programs[name]
  const named = variable === null ? undefined : process.env[variable]
  if (named !== undefined && named !== '') return named
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...USUAL].filter(folder => folder !== '')
  for (const folder of new Set(folders))
    for (const candidate of names) {
      const path = join(folder, candidate)
      if (isExecutable(path) && runs(path, askVersion)) return path
    }
  return null
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function runs(path: string, askVersion: string): boolean {
  try {
    execFileSync(path, [askVersion], { stdio: 'ignore', timeout: 20_000 })
    return true
  } catch {
    return false
  }
}
