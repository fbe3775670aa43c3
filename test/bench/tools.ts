/**
 * What the bench itself needs of this machine: its small C programs, compiled at first use into a cache, and where
 * programs are. Where there is no cc, stamps come from the shell's `date`, and what needs the other programs is skipped
 * with a sentence.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { createServer } from 'node:net'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { packageRoot } from '../../src/instance/versions.ts'

const exec = promisify(execFile)

/** The sources, which are not in dist. */
export const benchSources = join(packageRoot, 'test', 'bench')
export const cacheDir = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ocps', 'bench')

/** A compiler takes 0.3 s; on a machine that swaps, more. */
const COMPILE_MS_MAX = 60_000
/** What is asked of programs here they answer at once; one that hangs must not hang the bench. */
const ANSWER_MS_MAX = 30_000

/** The path of a compiled native/<name>.c; null where there is no cc. */
export async function native(name: 'stamp' | 'loop' | 'account'): Promise<string | null> {
  const source = join(benchSources, 'native', `${name}.c`)
  const hash = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16)
  const binary = join(cacheDir, `${name}-${process.platform}-${process.arch}-${hash}`)
  if (existsSync(binary)) return binary
  const compiler = which('cc')
  if (compiler === null) return null
  mkdirSync(cacheDir, { recursive: true })
  const unfinished = `${binary}.${process.pid}`
  try {
    await exec(compiler, ['-O2', '-o', unfinished, source], { timeout: COMPILE_MS_MAX })
  } catch {
    return null
  }
  renameSync(unfinished, binary)
  return binary
}

const usualDirectories = ['/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/sbin', '/opt/homebrew/bin']

/** Also looks where daemons are, which are not on an ordinary user's PATH. */
export function which(program: string): string | null {
  for (const directory of [...(process.env['PATH'] ?? '').split(delimiter), ...usualDirectories]) {
    const path = join(directory, program)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // The next one.
    }
  }
  return null
}

/** Standard output, without the line feed at its end. Rejects with what the program said. */
export async function answerOf(
  program: string,
  args: readonly string[],
  { env, timeoutMs = ANSWER_MS_MAX }: { readonly env?: NodeJS.ProcessEnv; readonly timeoutMs?: number } = {},
): Promise<string> {
  const { stdout } = await exec(program, args, { timeout: timeoutMs, ...(env && { env }) })
  return stdout.trimEnd()
}

/** A port nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('impossible: a TCP server without a port')
  return address.port
}

export function built(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url))
}
