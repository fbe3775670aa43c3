/// <reference lib="dom" />
/**
 * The bar at the bottom: any moment of what the page holds can be shown again, by the same machines. Plays at several
 * speeds of the night.
 */
import { useEffect, useState } from 'preact/hooks'
import { clock } from './parts.tsx'
import { entryCount, folding, isTravelling, newest, night, place, source, timeAt, travel } from './store.ts'
import { version } from './frames.ts'

const SPEEDS = [1, 10, 60, 600]
// Fast enough for the eye; each step folds what came in between.
const PLAY_MS = 100

export function Scrubber() {
  void version.value
  const [isPlaying, setPlaying] = useState(false)
  const [speed, setSpeed] = useState(10)
  const count = entryCount()
  const at = place.value ?? count
  useEffect(() => {
    if (!isPlaying) return
    let moment = night().at
    const timer = setInterval(() => {
      if (folding.value) return
      moment += PLAY_MS * speed
      let next = place.value ?? entryCount()
      while ((timeAt(next) ?? Number.POSITIVE_INFINITY) <= moment) next += 1
      if (next < entryCount()) return void (next !== place.value && travel(next))
      setPlaying(false)
      travel(null)
    }, PLAY_MS)
    return () => clearInterval(timer)
  }, [isPlaying, speed])
  if (count === 0) return null
  const play = () => {
    if (!isPlaying && at >= count) travel(0)
    setPlaying(!isPlaying)
  }
  return (
    <footer class={isTravelling.value ? 'scrubber travelling' : 'scrubber'} aria-label="time travel">
      <button type="button" onClick={play} aria-label={isPlaying ? 'pause' : 'play the night'}>
        {isPlaying ? '❚❚' : '▶'}
      </button>
      <button type="button" onClick={() => travel(Math.max(0, at - 1))} aria-label="one entry back" disabled={at === 0}>
        ‹
      </button>
      <button
        type="button"
        onClick={() => travel(Math.min(count, at + 1))}
        aria-label="one entry on"
        disabled={at >= count}
      >
        ›
      </button>
      <select value={speed} aria-label="speed" onChange={event => setSpeed(Number(event.currentTarget.value))}>
        {SPEEDS.map(one => (
          <option key={one} value={one}>
            {one} ×
          </option>
        ))}
      </select>
      <input
        type="range"
        min="0"
        max={count}
        value={at}
        aria-label="entry that is shown"
        aria-valuetext={`entry ${night().n} of ${newest()}, ${clock(night().at)}`}
        onInput={event => travel(Number(event.currentTarget.value))}
      />
      <span class="number">
        {night().at === 0
          ? 'before the first entry'
          : `${new Date(night().at).toISOString().slice(0, 10)} ${clock(night().at)} UTC · entry ${night().n}`}
        {folding.value && ' …'}
      </span>
      <button type="button" onClick={() => (setPlaying(false), travel(null))} disabled={!isTravelling.value}>
        {source.value === 'live' ? 'Live' : 'End'}
      </button>
    </footer>
  )
}
