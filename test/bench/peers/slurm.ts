/**
 * Slurm on one node, tuned as its documentation advises for many short jobs
 * (https://slurm.schedmd.com/high_throughput.html): no accounting, no delay, the plain scheduler. An Epilog makes a
 * finished job start the next at once instead of at the next tick. Groups are `--dependency`.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { now } from '../clock.ts'
import { inFull, type Peer, type Place, type Running } from '../port.ts'
import { type Submit, watchEach } from '../submitting.ts'
import { answerOf, freePort, which } from '../tools.ts'

export const slurm: Peer = {
  name: 'slurm',
  durability:
    'jobs accepted in the last five seconds are lost, of the others some run a second time; running jobs go on',
  jobsMax: 100,
  // A first job into an idle queue waits for the scheduler's next tick, about a second.
  watchedMax: 8,
  liveMax: null,
  depths: [],
  available() {
    const missing = ['slurmctld', 'slurmd', 'munged', 'sbatch', 'squeue'].filter(program => which(program) === null)
    if (missing.length > 0)
      return Promise.resolve(`Slurm is skipped: there is no ${missing.join(', ')} (apt-get install slurm-wlm munge).`)
    return Promise.resolve(process.getuid?.() === 0 ? null : 'Slurm is skipped: its daemons need root here.')
  },
  version: async () => `${(await answerOf(which('slurmd') ?? '', ['-V'])).replace('slurm-wlm ', '')}, tuned`,
  start,
}

/** Daemons answer within a second or two. */
const READY_MS_MAX = 60_000
/** How often squeue is asked; Slurm tells nobody that a job has ended. */
const POLL_MS = 20
const STOP_MS_MAX = 5_000

async function start({ dir, concurrency }: Place): Promise<Running> {
  const configuration = join(dir, 'slurm.conf')
  for (const name of ['run', 'state', 'spool', 'log']) mkdirSync(join(dir, name), { mode: 0o755 })
  writeFileSync(join(dir, 'munge.key'), randomBytes(1024), { mode: 0o600 })
  writeFileSync(configuration, await configurationOf(dir, concurrency))
  const env = { ...process.env, SLURM_CONF: configuration }
  const call = (program: string, ...args: readonly string[]): Promise<string> =>
    answerOf(which(program) ?? program, args, { env })
  const daemons = [
    daemon(
      'munged',
      env,
      ['--foreground', '--force', `--key-file=${dir}/munge.key`, `--socket=${dir}/run/munge.socket`],
      [`--pid-file=${dir}/run/munged.pid`, `--log-file=${dir}/log/munged.log`, `--seed-file=${dir}/run/munged.seed`],
    ),
    daemon('slurmctld', env, ['-D', '-f', configuration]),
    daemon('slurmd', env, ['-D', '-f', configuration, '-N', hostname()]),
  ]
  await until(async () => (await call('sinfo', '-h', '-o', '%t')).includes('idle'), 'its node')

  /** argv as it is: sbatch copies a script, so the script is one line that becomes the program. */
  const submitJob = (argv: readonly string[], ...options: readonly string[]): Promise<string> =>
    call('sbatch', '--parsable', '--output=/dev/null', ...options, `--wrap=exec ${argv.map(quoted).join(' ')}`)
  const ended = async (id: string): Promise<void> => {
    while ((await call('squeue', '-h', '-j', id, '-o', '%i').catch(() => '')) !== '') await delay(POLL_MS)
  }
  const submit: Submit = async ({ argv }, id) => ({ seen: ended(await submitJob(inFull(argv, id))) })
  const array = (argv: readonly string[], count: number): Promise<string> =>
    submitJob(inFull(argv, 'member$SLURM_ARRAY_TASK_ID'), `--array=0-${count - 1}`)
  return {
    async run({ argv, count }) {
      const began = now()
      const id = await array(argv, count)
      await ended(id)
      return { seconds: (now() - began) / 1_000, accepted: [] }
    },
    watch: work => watchEach(submit, work),
    async gather({ argv, count }) {
      const members = await array(argv, count)
      await ended(await submitJob(inFull(argv, 'gather'), `--dependency=afterany:${members}`))
    },
    queue: null,
    recover: null,
    replay: null,
    heartbeats: null,
    delays: null,
    async stop() {
      for (const one of daemons.toReversed()) await end(one)
    },
  }
}

async function configurationOf(dir: string, slots: number): Promise<string> {
  return `ClusterName=bench
SlurmctldHost=${hostname()}(127.0.0.1)
SlurmctldPort=${await freePort()}
SlurmdPort=${await freePort()}
AuthType=auth/munge
AuthInfo=socket=${dir}/run/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=${dir}/state
SlurmdSpoolDir=${dir}/spool
SlurmctldPidFile=${dir}/run/slurmctld.pid
SlurmdPidFile=${dir}/run/slurmd.pid
SlurmctldLogFile=${dir}/log/slurmctld.log
SlurmdLogFile=${dir}/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
MaxJobCount=200000
MaxArraySize=100001
KillWait=5
Epilog=/bin/true
NodeName=${hostname()} NodeAddr=127.0.0.1 CPUs=${slots} State=UNKNOWN
PartitionName=main Nodes=${hostname()} Default=YES MaxTime=INFINITE State=UP
`
}

function daemon(program: string, env: NodeJS.ProcessEnv, ...words: readonly (readonly string[])[]): ChildProcess {
  return spawn(which(program) ?? program, words.flat(), { env, stdio: 'ignore' })
}

async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + READY_MS_MAX
  while (!(await holds().catch(() => false))) {
    if (performance.now() > deadline) throw new Error(`${what} was not ready within ${READY_MS_MAX / 1_000} s`)
    await delay(POLL_MS)
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  if ((await Promise.race([gone, delay(STOP_MS_MAX, 'late')])) === 'late') child.kill('SIGKILL')
}

/** For sh, which runs the job; what it is to fill in itself stays. */
function quoted(word: string): string {
  return `"${word.replaceAll(/["\\`]/g, String.raw`\$&`)}"`
}
