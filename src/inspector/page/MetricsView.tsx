/// <reference lib="dom" />
/**
 * Every metric of the night, one plot each, a line per pipeline, over time or over sequence numbers. A value that was
 * not measured leaves a gap.
 */
import { useState } from 'preact/hooks'
import { type Axis, newestDay, seriesOf } from '../../night/series.ts'
import { Empty, Section } from './parts.tsx'
import { Plot } from './Plot.tsx'
import { night } from './store.ts'
import { slowVersion } from './frames.ts'

// A plot of this many points is drawn in a frame.
const JOBS_MAX = 5_000

export function MetricsView() {
  void slowVersion.value
  const [axis, choose] = useState<Axis>('time')
  const jobs = [...night().jobs.values()].slice(-JOBS_MAX)
  const all = seriesOf(jobs, axis)
  const day = newestDay(jobs)
  return (
    <Section
      title="Metrics"
      note={
        <span class="choice" role="group" aria-label="plotted over">
          <span>
            {axis === 'time'
              ? 'each over the time its job was accepted (UTC)'
              : `over the sequence numbers of the observing day ${day ?? '–'}`}
          </span>
          <button type="button" aria-pressed={axis === 'time'} onClick={() => choose('time')}>
            Time
          </button>
          <button
            type="button"
            aria-pressed={axis === 'sequence'}
            disabled={day === null}
            onClick={() => choose('sequence')}
          >
            Sequence number
          </button>
        </span>
      }
    >
      {all.length === 0 && <Empty>No job has said a metric yet.</Empty>}
      <div class="plots">
        {all.map(series => (
          <Plot key={`${series.metric} ${series.unit}`} series={series} axis={axis} />
        ))}
      </div>
    </Section>
  )
}
