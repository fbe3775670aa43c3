/**
 * The demo's other processes: our own compiled programs, started with Node, read line by line, and gone when we are. A
 * child notices our end by its stdin, so nothing is left running even if we are killed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { justUrl, toEnvironment } from '../settings/connect.ts'

export interface Program {
  /** The first line it says; rejects with its own last words if it ends before. */
  readonly firstLine: Promise<string>
  /** Exit code, or the signal's name. */
  readonly ended: Promise<number | NodeJS.Signals>
  /** What it wrote to stderr, the last of it. */
  lastWords(): string
  /** Asks it to end, and after a while makes it. */
  stop(): Promise<void>
}

export interface ProgramOptions {
  readonly script: URL
  /** Options by name; '' for one that takes no value. */
  readonly args: Readonly<Record<string, string>>
  /** Where the server is: in the environment, for it holds a token that a list of processes would show. */
  readonly natsUrl: string
  readonly onLine: ((line: string) => void) | null
}

/** Ends a program when we are gone, whatever ended us. */
const LIFELINE = new URL('lifeline.js', import.meta.url)
/** Our programs end within a frame's drawing; this is for a loaded machine. */
const STOP_MS = 3_000
const LAST_WORDS_MAX = 2_000

export function startProgram({ script, args, natsUrl, onLine }: ProgramOptions): Program {
  const child = spawn(process.execPath, ['--import', LIFELINE.href, fileURLToPath(script), ...argv(args)], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...toEnvironment(justUrl(natsUrl)) },
  })
  // The pipe of a child that has already gone must not take us with it.
  child.stdin.on('error', () => {})
  let words = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => void (words = (words + text).slice(-LAST_WORDS_MAX)))
  const lines = createInterface({ input: child.stdout })
  const ended = endOf(child)
  const firstLine = new Promise<string>((resolve, reject) => {
    lines.once('line', resolve)
    ended.then(how => reject(new Error(`${script.pathname} ended with ${how}: ${words.trim()}`)), reject)
  })
  // Who does not wait for it is not to be ended by it.
  firstLine.catch(() => {})
  if (onLine) lines.on('line', onLine)
  return {
    firstLine,
    ended,
    lastWords: () => words.trim(),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      await ended.catch(() => {})
      clearTimeout(timer)
    },
  }
}

function argv(args: Readonly<Record<string, string>>): string[] {
  return Object.entries(args).flatMap(([name, value]) => (value === '' ? [`--${name}`] : [`--${name}`, value]))
}

/** Closed, not exited: every line has been read by then. */
async function endOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  await once(child, 'close')
  return child.exitCode ?? child.signalCode ?? 1
}
