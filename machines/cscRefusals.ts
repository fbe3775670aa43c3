import { LEAST_ROLE } from './domain/access.ts'
import { sentAs, type Asked, type Command } from './domain/commands.ts'
import { jobAddress, type Known } from './domain/messages.ts'
import type { Refusal } from './domain/refusals.ts'
import type { SummaryState } from './domain/summaryState.ts'

/** The sentences with which the csc refuses: what was asked, why not, and what to do next. */

/** A command as it came, whatever its fields. */
export type Sent = Asked & { readonly type: Command['type']; readonly askedAs?: string }

const ALLOWED: Record<SummaryState, string> = {
  STANDBY: 'send start to go to DISABLED, or exitControl to end',
  DISABLED: 'send enable to go to ENABLED, or standby to go back to STANDBY',
  ENABLED: 'send disable first to leave ENABLED',
  FAULT: 'find the cause, then send standby to recover',
  OFFLINE: 'the process is ending; start it again',
}

export function notAllowed(
  command: string,
  state: SummaryState,
  { errorCode, errorReport }: { errorCode: number; errorReport: string },
): string {
  const fault = state === 'FAULT' ? ` (error ${errorCode}: ${errorReport})` : ''
  return `${command} is not allowed in state ${state}${fault}; ${ALLOWED[state]}`
}

export function notPermitted(command: Sent): Refusal {
  const { roles = [], identity } = command.caller
  const has = roles.length === 0 ? 'no role' : `only the role ${roles.join(', ')}`
  return {
    code: 'NOT_PERMITTED',
    reason: `${sentAs(command)} needs the role ${LEAST_ROLE[command.type]}, and ${identity} has ${has}; ask whoever gives out the roles of this instance`,
  }
}

export function notOpen(jobId: string, known: Known): Refusal {
  return known[jobAddress(jobId)] === 'ended'
    ? { code: 'ALREADY_SETTLED', reason: `job ${jobId} has ended already; \`ocps job ${jobId}\` shows how` }
    : { code: 'UNKNOWN_JOB', reason: `no job ${jobId} is known here; \`ocps jobs\` lists those that are open` }
}
