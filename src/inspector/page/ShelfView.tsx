/// <reference lib="dom" />
/**
 * The shelf: jobs that ended without success and why, newest first, to be run again; and those that were, with what
 * became of them.
 */
import { explainJob } from '../../night/explain.ts'
import type { JobRecord } from '../../night/night.ts'
import { onShelf, retried, type Shelved } from '../../night/shelf.ts'
import { CommandButton } from './Confirm.tsx'
import { mayCommand } from './commanding.ts'
import { retryJobOffer, retryNightOffers } from './offers.ts'
import { Actor, Chip, clock, dataName, dataNameOf, Empty, jobTone, jobWord, outcomeTone, Section } from './parts.tsx'
import { night } from './store.ts'
import { slowVersion } from './frames.ts'

// What can be looked through; the rest is counted, and "ocps shelf" lists it.
const ROWS_MAX = 200

export function ShelfView() {
  void slowVersion.value
  const tonight = night()
  const items = onShelf(tonight)
  const again = retried(tonight)
  return (
    <>
      <Section
        title="On the shelf"
        note={
          items.length > 0 && (
            <span class="choice">
              {retryNightOffers(tonight).map(({ day, jobs, offer }) => (
                <CommandButton key={day} offer={offer} label={`Retry all ${jobs} of ${day}`} />
              ))}
              {items.length}
            </span>
          )
        }
      >
        {items.length === 0 ? (
          <Empty>The shelf is empty: nothing that ended without success waits to be run again.</Empty>
        ) : (
          <table class="jobs shelf">
            <thead>
              <tr>
                <th>Outcome</th>
                <th>Data</th>
                <th>Pipeline</th>
                <th>Job</th>
                <th>Accepted</th>
                <th>First attempt</th>
                <th>Why</th>
                {mayCommand.value && <th>Run again</th>}
              </tr>
            </thead>
            <tbody>
              {items.slice(0, ROWS_MAX).map(one => (
                <Row key={one.item.jobId} {...one} />
              ))}
            </tbody>
          </table>
        )}
        {items.length > ROWS_MAX && <p class="more">and {items.length - ROWS_MAX} older</p>}
      </Section>
      {again.length > 0 && (
        <Section title="Retried" note={again.length}>
          <table class="jobs shelf">
            <thead>
              <tr>
                <th>Data</th>
                <th>Job</th>
                <th>Retried as</th>
                <th>Now</th>
                <th>Why it was retried</th>
              </tr>
            </thead>
            <tbody>
              {again.slice(0, ROWS_MAX).map(({ job, by }) => (
                <tr key={by.jobId}>
                  <td>{dataName(job)}</td>
                  <td>
                    <Actor address={`job.${job.jobId}`}>{job.jobId}</Actor>
                  </td>
                  <td>
                    <Actor address={`job.${by.jobId}`}>{by.jobId}</Actor> {by.context.pipeline.name}
                  </td>
                  <td>
                    <Chip tone={jobTone(by)}>{jobWord(by)}</Chip>
                  </td>
                  <td class="why">{why(job)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {again.length > ROWS_MAX && <p class="more">and {again.length - ROWS_MAX} older</p>}
        </Section>
      )}
    </>
  )
}

function Row({ item, job }: Shelved) {
  const { jobId, retryOf } = item
  return (
    <tr>
      <td>
        <Chip tone={outcomeTone(item.outcome)}>{item.outcome}</Chip>
      </td>
      <td>{dataNameOf(item.dataId)}</td>
      <td>{item.pipeline}</td>
      <td>{job === null ? jobId : <Actor address={`job.${jobId}`}>{jobId}</Actor>}</td>
      <td>
        <time title={new Date(item.at).toISOString()}>{clock(item.at)}</time>
      </td>
      <td>{retryOf === null ? <span class="muted">this one</span> : <FirstAttempt jobId={retryOf} />}</td>
      <td class="why">
        {job === null ? 'It ended before what was read of the journal; "ocps job" shows more.' : why(job)}
      </td>
      {mayCommand.value && (
        <td>
          <CommandButton offer={retryJobOffer(jobId)} label="Retry" />
        </td>
      )}
    </tr>
  )
}

function FirstAttempt({ jobId }: { jobId: string }) {
  return night().jobs.has(jobId) ? <Actor address={`job.${jobId}`}>{jobId}</Actor> : <>{jobId}</>
}

function why(job: JobRecord): string {
  return explainJob(night(), job).replace(`Job ${job.jobId} `, '')
}
