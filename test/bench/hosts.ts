/** The main process' side of host.ts: starts one, asks it, measures what its processes cost meanwhile, and ends it. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Ask } from './host.ts'
import type { Ability, Delays, Peer, Ran, Recovered, Watched, Work } from './port.ts'
import { cpuMs } from './processTree.ts'
import { built, native } from './tools.ts'
import { type Works, worksIn } from './works.ts'

export interface Host {
  readonly peer: Peer
  /** Root of its processes. */
  readonly pid: number
  /** Of the process with the script in it. */
  readonly scriptPid: number
  readonly works: Works
  readonly can: ReadonlySet<Ability>
  run(work: Work): Promise<Ran & { readonly cpuMs: number }>
  watch(work: Work): Promise<Watched>
  gather(work: Work): Promise<void>
  hold(): Promise<void>
  fill(work: Work): Promise<readonly number[]>
  drain(count: number): Promise<number>
  recover(): Promise<Recovered>
  replay(): Promise<number>
  heartbeats(): Promise<readonly number[]>
  delays(): Promise<Delays>
  stop(): Promise<void>
}

/** The slowest thing asked of any system: 100 000 jobs into its queue. What takes longer hangs. */
const CALL_MS_MAX = 240_000
/** host.ts takes fifteen seconds at most, and then whatever is left is killed by account.c. */
const END_MS_MAX = 20_000

const open = new Set<ChildProcess>()
/** Removed after all is measured: for minutes after many files were deleted ext4 is slow to make new ones. */
const folders: string[] = []

/** Rejects with a sentence; then nothing of it is left running. */
export async function startHost(
  peer: Peer,
  concurrency: number,
  needs: { frame: string; stamp: string | null },
): Promise<Host> {
  const account = await native('account')
  const dir = mkdtempSync(join(tmpdir(), `ocps-bench-${peer.name}-`))
  folders.push(dir)
  mkdirSync(join(dir, 'jobs'))
  const child = fork(built('host.js'), [peer.name], {
    cwd: join(dir, 'jobs'),
    ...(account !== null && { execPath: account, execArgv: [process.execPath] }),
  })
  const works = worksIn(dir, needs)
  const kinds = [works.trues, works.sleeps, works.lingering, works.quicklooks, works.stamps].map(kind => kind(0))
  open.add(child)
  const ask = async <T>(what: Ask): Promise<T> => {
    const answer = reply(child, `${peer.name}, asked to ${what.call},`)
    child.send(what)
    return (await answer) as T
  }
  const end = async (): Promise<void> => {
    await endOf(child)
    open.delete(child)
  }
  try {
    await reply(child, `${peer.name}'s process`)
    const { can, scriptPid } = await ask<{ can: Ability[]; scriptPid: number }>({
      call: 'start',
      with: { dir, concurrency, works: kinds },
    })
    const pid = child.pid ?? 0
    return {
      peer,
      pid,
      scriptPid,
      works,
      can: new Set(can),
      async run(work) {
        const before = cpuMs(pid)
        const ran = await ask<Ran>({ call: 'run', with: work })
        return { ...ran, cpuMs: cpuMs(pid) - before }
      },
      watch: work => ask({ call: 'watch', with: work }),
      gather: work => ask({ call: 'gather', with: work }),
      hold: () => ask({ call: 'hold', with: null }),
      fill: work => ask({ call: 'fill', with: work }),
      drain: count => ask({ call: 'drain', with: count }),
      recover: () => ask({ call: 'recover', with: null }),
      replay: () => ask({ call: 'replay', with: null }),
      heartbeats: () => ask({ call: 'heartbeats', with: null }),
      delays: () => ask({ call: 'delays', with: null }),
      async stop() {
        try {
          await ask({ call: 'stop', with: null })
        } finally {
          await end()
        }
      },
    }
  } catch (error) {
    await end()
    throw error
  }
}

/** For Ctrl-C: lets every host take its system down. */
export async function endHosts(): Promise<void> {
  for (const child of open) await endOf(child)
  removeFolders()
}

export function removeFolders(): void {
  for (const dir of folders.splice(0)) rmSync(dir, { recursive: true, force: true })
}

function reply(child: ChildProcess, who: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      clearTimeout(timer)
      child.off('message', hear)
      child.off('exit', gone)
      act()
    }
    const hear = (answer: { value?: unknown; error?: string }): void =>
      settle(() =>
        answer.error === undefined ? resolve(answer.value) : reject(new Error(`${who} failed: ${answer.error}`)),
      )
    const gone = (code: number | null): void => settle(() => reject(new Error(`${who} ended with code ${code}`)))
    const timer = setTimeout(
      () => settle(() => reject(new Error(`${who} did not answer within ${CALL_MS_MAX / 1_000} s`))),
      CALL_MS_MAX,
    )
    child.on('message', hear)
    child.on('exit', gone)
  })
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  if (child.connected) child.disconnect()
  const late = setTimeout(() => child.kill('SIGKILL'), END_MS_MAX)
  await ended
  clearTimeout(late)
}
