/**
 * Why a job or a group is where it is, in one sentence: the text of the page and of `ocps explain`. Everything in it is
 * read from the fold; where the fold does not say, the sentence does not either. Times are UTC.
 */
import { jobAddress } from '../../machines/domain/messages.ts'
import { isAwaited } from '../../machines/groupMembers.ts'
import type { GroupRecord, JobRecord, Night } from './night.ts'
import { few, handedOverIn, placeBriefly, placeOf } from './slots.ts'

/** The sentence about a job id, a group id or an actor's address; null for what was never heard of. */
export function explain(night: Night, id: string): string | null {
  const job = night.jobs.get(id.replace(/^job\./, ''))
  if (job) return explainJob(night, job)
  const group = night.groups.get(id) ?? [...night.groups.values()].find(({ address }) => address === id)
  return group ? explainGroup(night, group) : null
}

export function explainJob(night: Night, job: JobRecord): string {
  const { jobId, state, context } = job
  const { pipeline, attempt, times } = context
  const name = `Job ${jobId}`
  switch (state) {
    case 'awaitingJobs': {
      const awaited = context.awaited.map(({ jobId: other, requires }) => {
        const there = night.jobs.get(other)
        return `${other} (${there?.state ?? 'unknown here'}${requires === 'success' ? ', must succeed' : ''})`
      })
      return `${name} waits for ${awaited.length === 1 ? 'job' : `${awaited.length} jobs:`} ${few(awaited)}.`
    }
    case 'awaitingData': {
      const until = firstTimer(night, jobAddress(jobId))
      return `${name} waits for the data of ${dataOf(job)} to be ingested${until === null ? '' : `, until ${clock(until, night)} at the latest`}.`
    }
    case 'queued':
      return `${name} waits in the queue${placeOf(night, jobId)}.`
    case 'starting':
      return context.asked.capacity !== undefined
        ? `${name} was handed to the launcher at ${clock(job.since)}, attempt ${attempt}, and begins as soon as it fits${handedOverIn(night, jobId)}.`
        : `${name} has its slot and is being started since ${clock(job.since)}, attempt ${attempt}.`
    case 'running': {
      const until = firstTimer(night, jobAddress(jobId))
      return `${name} runs ${pipeline.name} since ${clock(job.since)}, attempt ${attempt} of at most ${pipeline.retries.attemptsMax}${job.progress ? ` (${job.progress})` : ''}${until === null ? '' : `; it is stopped at ${clock(until, night)} if it is not over by then`}.`
    }
    case 'stopping':
      return `${name} is being stopped since ${clock(job.since)}: ${context.outcome?.message ?? 'someone asked for it'}; SIGKILL follows ${pipeline.graceMs / 1000} s after SIGTERM.`
    case 'backingOff': {
      const until = firstTimer(night, jobAddress(jobId))
      return `${name} failed in attempt ${attempt}${lastFailure(night, jobId)} and is tried again${until === null ? '' : ` at ${clock(until, night)}`}, at most ${pipeline.retries.attemptsMax} times.`
    }
    default: {
      if (!context.outcome) return `${name} is ${state} since ${clock(job.since)}.`
      const { kind, message } = context.outcome
      const tries = attempt > 1 ? ` after ${attempt} attempts` : ''
      const fell = context.fellBackFrom.length > 0 ? `, having fallen back from ${context.fellBackFrom.join(', ')}` : ''
      return `${name} ${ENDED[kind]}${tries} at ${clock(times.settled)}${fell}${kind === 'succeeded' ? '.' : `: ${sentence(message)}`}`
    }
  }
}

/** The same in a few words, for a table that says state, pipeline and age already. */
export function explainJobBriefly(night: Night, job: JobRecord): string {
  const { jobId, state, context } = job
  const until = firstTimer(night, jobAddress(jobId))
  const limit = until === null ? [] : [`until ${clock(until, night).replace(' UTC', '')} at most`]
  const tries =
    context.attempt > 1 ? [`attempt ${context.attempt} of at most ${context.pipeline.retries.attemptsMax}`] : []
  if (state === 'running') return [...(job.progress ? [job.progress] : []), ...tries, ...limit].join(' · ')
  const place = state === 'queued' ? placeBriefly(night, jobId) : null
  if (place !== null) return place
  return explainJob(night, job).replace(`Job ${jobId} `, '')
}

export function explainGroup(night: Night, { group, address, state, context, since }: GroupRecord): string {
  const members = context.members
  const settled = members.filter(({ output }) => output !== null).length
  const name = `Group ${group}`
  const counted =
    context.expected === null
      ? `${members.length} accepted, ${settled} settled`
      : `${exposuresOf(context)} of ${context.expected} exposures accepted, ${settled} of ${members.length} jobs settled`
  switch (state) {
    case 'open': {
      const until = firstTimer(night, address)
      const ways = [
        ...(context.expected === null ? [] : [`${context.expected} exposures are accepted`]),
        'a command closes it',
        ...(until === null || context.deadlineMs === null ? [] : [`at ${clock(until, night)}`]),
      ]
      return `${name} is open (${counted}) and closes when ${ways.join(', or ')}.`
    }
    case 'closing': {
      const missing = members.filter(isAwaited)
      const named = missing.map(
        ({ identity, jobId }) => `${identity} (${night.jobs.get(jobId ?? '')?.state ?? 'unknown here'})`,
      )
      const until = firstTimer(night, address)
      return `${name} is closed and waits for ${named.length} of ${members.length} members: ${few(named)}${until === null ? '' : `; its patience ends at ${clock(until, night)}`}.`
    }
    case 'gathering':
      return `${name} is being combined by job ${context.gatherJob ?? '?'} since ${clock(since)} (${counted}).`
    default:
      return context.result
        ? `${name} is ${context.result.outcome} (revision ${context.result.revision}): ${sentence(context.result.message)}`
        : `${name} is ${state} (${counted}).`
  }
}

/** What `expected` counts: exposures, however many detectors and pipelines each has. */
export function exposuresOf({ members }: GroupRecord['context']): number {
  return new Set(Object.values(members).map(({ dataId }) => dataId.obsid)).size
}

const ENDED = {
  succeeded: 'succeeded',
  failed: 'failed',
  timedOut: 'was stopped at its time limit',
  aborted: 'was aborted',
  lost: 'was lost',
  skipped: 'was skipped',
} as const

function lastFailure(night: Night, jobId: string): string {
  const exited = night.histories.get(jobAddress(jobId))?.findLast(({ event }) => event.type === 'executor.exited')
  if (!exited) return ''
  const { exitCode, signal } = exited.event as unknown as { exitCode: number | null; signal: string | null }
  return signal === null ? ` with exit code ${exitCode}` : ` by signal ${signal}`
}

function firstTimer(night: Night, address: string): number | null {
  const due = [...(night.world.actor(address)?.timers.values() ?? [])]
  return due.length === 0 ? null : night.world.onTheWall(Math.min(...due))
}

function dataOf({ context: { dataId } }: JobRecord): string {
  return dataId.obsid === null
    ? `group ${dataId.group}`
    : `${dataId.obsid}${dataId.detector === null ? '' : ` detector ${dataId.detector}`}`
}

function clock(at: number, night?: Night): string {
  const text = new Date(at).toISOString()
  const isFar = night !== undefined && Math.abs(at - night.at) > FAR_MS
  return `${isFar ? `${text.slice(0, 10)} ` : ''}${text.slice(11, 19)} UTC`
}

// Beyond this a time of day alone is mistaken for one of today.
const FAR_MS = 12 * 3_600_000

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}
