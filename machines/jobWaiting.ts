import type { Prerequisite } from './domain/commands.ts'
import type { DataId } from './domain/dataId.ts'
import { jobAddress, type Address, type End } from './domain/messages.ts'
import type { JobContext, JobOutput } from './jobContext.ts'

/**
 * What a job waits for before it is queued: other jobs, and its data. Pure functions; when it goes on is the job's
 * business (job.ts).
 */

/** It ended, and not as this job requires. */
export function fallsShort({ awaited }: Pick<JobContext, 'awaited'>, address: Address, end: End): boolean {
  const isSuccessWanted = awaited.some(({ jobId, requires }) => jobAddress(jobId) === address && requires === 'success')
  return isSuccessWanted && (end.how !== 'done' || (end.output as JobOutput).outcome.kind !== 'succeeded')
}

/** What is still awaited when one has ended; a job named twice is awaited once. */
export function without({ awaited }: Pick<JobContext, 'awaited'>, address: Address): readonly Prerequisite[] {
  return awaited.filter(({ jobId }) => jobAddress(jobId) !== address)
}

export function howEnded(end: End): string {
  switch (end.how) {
    case 'done':
      return (end.output as JobOutput).outcome.kind
    case 'broken':
      return 'broke inside OCPS'
    case 'unknown':
      return 'is not known here any more'
  }
}

export function dataName({ obsid, detector }: DataId): string {
  return detector === null ? String(obsid) : `${obsid} detector ${detector}`
}
