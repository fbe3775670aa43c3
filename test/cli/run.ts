import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

/**
 * The command line as people run it: the built program in a process of its own, with nothing of our environment but
 * what it needs.
 */
export const root = new URL('../..', import.meta.url).pathname
export const program = join(root, 'dist/src/cli/main.js')

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
}

/** The test command builds first; this is for whoever runs one file. */
export async function buildIfMissing(): Promise<void> {
  if (existsSync(program)) return
  await promisify(execFile)(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.json'], { cwd: root })
}

export async function ocps(args: readonly string[], options: RunOptions): Promise<Ran> {
  const child = start(args, options)
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

/** A verb that goes on: its lines as they come. */
export function start(args: readonly string[], { cwd, env = {} }: RunOptions) {
  const { PATH = '', HOME = '' } = process.env
  return spawn(process.execPath, [program, ...args], {
    cwd,
    env: { PATH, HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

export type Child = ReturnType<typeof start>

export function linesOf(child: Child): AsyncIterator<string> {
  return createInterface({ input: child.stdout })[Symbol.asyncIterator]()
}

export async function nextLine(lines: AsyncIterator<string>): Promise<string> {
  const { value, done } = await lines.next()
  if (done) throw new Error('the output ended before the line that was awaited')
  return value
}

/** Ends a child by its pid and waits until it is gone. */
export async function end(child: Child, signal: NodeJS.Signals): Promise<number | null> {
  const ended = once(child, 'close') as Promise<[number | null]>
  child.kill(signal)
  return (await ended)[0]
}
