/// <reference lib="dom" />
/** The journal as sentences, newest first, by door and by word. */
import { useState } from 'preact/hooks'
import { clock, Empty, Section } from './parts.tsx'
import { night } from './store.ts'
import { version } from './frames.ts'

const SHOWN_MAX = 300

export function JournalView() {
  void version.value
  const [wanted, setWanted] = useState('')
  const { lines } = night()
  const word = wanted.toLowerCase()
  const fitting = lines.filter(({ text, door }) => word === '' || text().toLowerCase().includes(word) || door === word)
  return (
    <Section
      title="Journal"
      note={
        <label>
          <span class="muted">find </span>
          <input
            type="search"
            value={wanted}
            onInput={event => setWanted(event.currentTarget.value)}
            placeholder="obsid, job, command, clock…"
          />
        </label>
      }
    >
      {fitting.length === 0 && (
        <Empty>{lines.length === 0 ? 'Nothing has come in yet.' : 'No entry holds this.'}</Empty>
      )}
      <ol class="journal">
        {fitting
          .slice(-SHOWN_MAX)
          .reverse()
          .map(({ n, at, door, text }) => (
            <li key={n}>
              <span class="number muted">{n}</span>
              <time>{clock(at)}</time>
              <span class={`door ${door}`}>{door}</span>
              <span>{text()}</span>
            </li>
          ))}
      </ol>
    </Section>
  )
}
