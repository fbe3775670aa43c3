import { jobAddress, type Known } from './domain/messages.ts'
import type { Refusal } from './domain/refusals.ts'
import type { SummaryState } from './domain/summaryState.ts'

/** What the csc says of a command that it refuses, as sentences that name what to do instead. */

interface Fault {
  readonly errorCode: number
  readonly errorReport: string
}

const ALLOWED: Record<SummaryState, string> = {
  STANDBY: 'send start to go to DISABLED, or exitControl to end',
  DISABLED: 'send enable to go to ENABLED, or standby to go back to STANDBY',
  ENABLED: 'send disable first to leave ENABLED',
  FAULT: 'find the cause, then send standby to recover',
  OFFLINE: 'the process is ending; start it again',
}

export function notAllowed(command: string, state: SummaryState, { errorCode, errorReport }: Fault): string {
  const fault = state === 'FAULT' ? ` (error ${errorCode}: ${errorReport})` : ''
  return `${command} is not allowed in state ${state}${fault}; ${ALLOWED[state]}`
}

export function notOpen(jobId: string, known: Known): Refusal {
  return known[jobAddress(jobId)] === 'ended'
    ? { code: 'ALREADY_SETTLED', reason: `job ${jobId} has ended already; \`ocps job ${jobId}\` shows how` }
    : { code: 'UNKNOWN_JOB', reason: `no job ${jobId} is known here; \`ocps jobs\` lists those that are open` }
}
