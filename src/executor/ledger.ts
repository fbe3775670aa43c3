/**
 * What launchers, living and dead, wrote about their jobs: `<workDir>/.ledger/<time>-<pid>-<n>`, one line per fact,
 * written before OCPS was told. It is how a job is taken up again. A launcher keeps its last two files (of about 4 MB);
 * files of launchers that are gone are removed here when they are old.
 */
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { readUntrusted } from '../jobFiles/untrusted.ts'
import { bootId, isAlive, type ProcessIdentity } from '../processes.ts'
import { type Ending, parseSaid, type LauncherMessage } from './protocol.ts'

export interface LauncherFacts extends ProcessIdentity {
  readonly bootId: string
}

/** All that is known of one attempt; the latest word counts. */
export interface LedgerEntry {
  readonly launcher: LauncherFacts
  /** Null: it was about to be started. */
  readonly process: ProcessIdentity | null
  readonly failure: Extract<LauncherMessage, { kind: 'failed' }> | null
  readonly ending: Ending | null
}

export interface Ledger {
  readonly launchers: readonly LauncherFacts[]
  /** Whether a launcher has said that it starts nothing more. */
  isDeaf(launcher: LauncherFacts): boolean
  entry(key: string): LedgerEntry | null
  /** Of the attempts asked for, those something is known of, in the order they were begun. */
  keys(): string[]
  /** Reads what has been written since. */
  update(): void
}

/** A week covers a long weekend in which nobody restarts OCPS; after that nobody will ask for these jobs. */
const KEPT_MS = 7 * 24 * 3_600_000

/** Reads all files for some attempts (`attemptKey`). A line that makes no sense (cut by a full disk) is passed over. */
export function openLedger(directory: string, wanted: ReadonlySet<string>): Ledger {
  const entries = new Map<string, LedgerEntry>()
  const deaf = new Set<number>()
  const files = ledgerFiles(directory).map(name => ({
    path: `${directory}/${name}`,
    position: 0,
    rest: '',
    launcher: launcherOf(`${directory}/${name}`),
  }))
  const update = (): void => {
    for (const file of files) {
      if (file.launcher === null) continue
      const text = file.rest + textFrom(file.path, file.position)
      file.position += text.length - file.rest.length
      const lines = text.split('\n')
      file.rest = lines.pop() ?? ''
      for (const line of lines) {
        const said = parseSaid(line)
        if (said?.kind === 'deaf') deaf.add(file.launcher.pid)
        else if (said && said.kind !== 'hello' && said.kind !== 'awake' && wanted.has(said.key))
          add(entries, said, file.launcher)
      }
    }
  }
  update()
  return {
    launchers: files.flatMap(({ launcher }) => launcher ?? []),
    isDeaf: ({ pid }) => deaf.has(pid),
    entry: key => entries.get(key) ?? null,
    keys: () => [...entries.keys()],
    update,
  }
}

export function isLauncherAlive(launcher: LauncherFacts): boolean {
  return launcher.bootId === bootId() && isAlive(launcher)
}

/**
 * Job ids are an instance's own: two instances in one directory would take each other's jobs for theirs. Throws a
 * sentence.
 */
export function claimWorkDir(workDir: string, instance: string): void {
  const path = `${workDir}/.instance`
  const owner = textFrom(path, 0)
  if (owner !== '' && owner !== instance)
    throw new Error(`the work directory ${workDir} belongs to instance ${owner}; give ${instance} another one`)
  if (owner === '') writeFileSync(path, instance)
}

/**
 * Tells every launcher of an earlier life to start nothing more: what it has not begun is ours to begin again. It says
 * Q in its ledger when it has heard that. A launcher that does not know the signal ignores it.
 */
export function deafenLaunchers(directory: string): void {
  for (const name of ledgerFiles(directory)) {
    const launcher = launcherOf(`${directory}/${name}`)
    if (launcher === null || !isLauncherAlive(launcher)) continue
    try {
      process.kill(launcher.pid, 'SIGURG')
    } catch {
      // It ended in the meantime.
    }
  }
}

/**
 * Removes what nobody will ask for any more; called once, at start, after deafenLaunchers. With a new journal that is
 * everything: none of the jobs it knows can have an ending here. (One put back from an earlier copy looks like an old
 * one; its next job ids go on behind all that are here.)
 */
export function tidyLedger(directory: string, nowMs: number, isJournalNew: boolean): void {
  const writtenAt = (path: string) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? nowMs
  const paths = ledgerFiles(directory).map(name => `${directory}/${name}`)
  // Old by the clock and by the newest word of a launcher: one of them alone may be of an hour in which the clock was
  // wrong.
  const present = Math.min(nowMs, Math.max(...paths.map(writtenAt)))
  for (const path of paths) {
    if (!isJournalNew && present - writtenAt(path) <= KEPT_MS) continue
    const launcher = isJournalNew ? null : launcherOf(path)
    if (launcher === null || !isLauncherAlive(launcher)) rmSync(path, { force: true })
  }
}

type JobSaid = Exclude<LauncherMessage, { kind: 'hello' | 'deaf' | 'awake' }>

function add(entries: Map<string, LedgerEntry>, said: JobSaid, launcher: LauncherFacts): void {
  const fresh: LedgerEntry = { launcher, process: null, failure: null, ending: null }
  const before = entries.get(said.key) ?? fresh
  switch (said.kind) {
    case 'preparing':
      return void entries.set(said.key, fresh)
    case 'started':
      return void entries.set(said.key, { ...before, launcher, process: { pid: said.pid, startTime: said.startTime } })
    case 'failed':
      return void entries.set(said.key, { ...before, failure: said })
    case 'ended':
      return void entries.set(said.key, { ...before, ending: said.ending })
  }
}

function ledgerFiles(directory: string): string[] {
  return readdirSync(directory)
    .filter(name => /^\d+-\d+-\d+$/u.test(name))
    .sort()
}

/** Who writes a file stands in its first line. */
function launcherOf(path: string): LauncherFacts | null {
  const said = parseSaid(textFrom(path, 0, 256).split('\n')[0] ?? '')
  return said?.kind === 'hello' ? { pid: said.pid, startTime: said.startTime, bootId: said.bootId } : null
}

/** A ledger file has 4 MB and is followed by another; what is far longer was not written by a launcher. */
const FILE_BYTES_MAX = 64 << 20

/**
 * One character is one byte: nothing in a ledger is outside ASCII. Jobs run as the same user, so even this is opened as
 * theirs.
 */
function textFrom(path: string, position: number, bytesMax = FILE_BYTES_MAX): string {
  return readUntrusted(dirname(path), basename(path), position, bytesMax)?.toString('latin1') ?? ''
}
