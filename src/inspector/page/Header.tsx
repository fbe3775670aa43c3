/// <reference lib="dom" />
/**
 * Who is looked at and whether it lives: instance, summary state, heartbeat, what an accepted command survives, and
 * where the page stands in time.
 */
import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { leafOf } from '../../night/night.ts'
import { onShelf } from '../../night/shelf.ts'
import { CommandButton } from './Confirm.tsx'
import { mayCommand } from './commanding.ts'
import { goLive, hasGateway } from './link.ts'
import { headOffers } from './offers.ts'
import { Actor, Chip, clock, stateTone } from './parts.tsx'
import { isTravelling, live, night, now, recordingName, second, source } from './store.ts'
import { version } from './frames.ts'

const TABS = [
  ['', 'Night'],
  ['charts', 'Charts'],
  ['metrics', 'Metrics'],
  ['images', 'Images'],
  ['focal', 'Focal plane'],
  ['shelf', 'Shelf'],
  ['journal', 'Journal'],
] as const

const THEMES = ['auto', 'light', 'dark'] as const
type Theme = (typeof THEMES)[number]

const theme = signal<Theme>('auto')

export function nameOf(view: string): string {
  return TABS.find(([path]) => path === view)?.[1] ?? 'Night'
}

export function Header({ view }: { view: string }) {
  void version.value
  const { instance, world, process } = night()
  const csc = world.actor('csc')
  const state = csc ? leafOf(csc.snapshot) : 'unknown'
  useEffect(() => {
    document.title = `${view === 'actor' ? 'Actor' : nameOf(view)} · ${instance === '' ? 'OCPS' : `OCPS ${instance}`}`
  }, [view, instance])
  const promise = live.value.facts?.promise ?? process?.promise ?? null
  return (
    <header class="top">
      <a class="brand" href="#/">
        OCPS <b>{instance}</b>
      </a>
      <Actor address="csc">
        <Chip tone={isPresent() ? stateTone(state) : 'idle'} title={isPresent() ? '' : 'as it was last'}>
          {state.toUpperCase()}
        </Chip>
      </Actor>
      {mayCommand.value && (
        <span class="choice">
          {headOffers(night()).map(offer => (
            <CommandButton key={offer.command} offer={offer} />
          ))}
        </span>
      )}
      <Presence />
      <CloseRecording />
      {/* While nobody is there, nothing is accepted either. */}
      {promise !== null && isPresent() && (
        <span class="muted promise" title="what an accepted command survives">
          {promise}
        </span>
      )}
      <nav aria-label="views">
        {TABS.map(([path, name]) => (
          <a key={path} href={`#/${path}`} aria-current={path === view ? 'page' : undefined}>
            {name}
            {path === 'shelf' && <Shelved />}
          </a>
        ))}
      </nav>
      <button type="button" class="theme" onClick={nextTheme} aria-label={`colours: ${theme.value}`}>
        {{ auto: '◐', light: '○', dark: '●' }[theme.value]}
      </button>
    </header>
  )
}

function Shelved() {
  const { length } = onShelf(night())
  return length === 0 ? null : <span class="count"> {length}</span>
}

/** Somebody is there to be in this state; of what is past nobody doubts it. */
function isPresent(): boolean {
  const { isCut, link, heartbeatAt } = live.value
  return source.value === 'recording' || isTravelling.value || (!isCut && link === 'connected' && heartbeatAt !== null)
}

function CloseRecording() {
  if (source.value !== 'recording' || !hasGateway.value) return null
  return (
    <button type="button" onClick={goLive} title={`close ${recordingName.value}`}>
      Close, back to live
    </button>
  )
}

function Presence() {
  void version.value
  const { link, heartbeatAt, isCut, facts, problem } = live.value
  if (isTravelling.value)
    return <Chip tone="warn">{night().at === 0 ? 'showing what was before' : `showing ${clock(now())} UTC`}</Chip>
  if (source.value === 'recording')
    return (
      <Chip tone="idle" title={recordingName.value}>
        recording {short(recordingName.value)}
      </Chip>
    )
  if (isCut) return <Chip tone="bad">the inspector is away; what is shown is old</Chip>
  if (link === 'away')
    return (
      <Chip tone="bad" title={problem}>
        OCPS is away: {short(problem)}
      </Chip>
    )
  if (heartbeatAt === null) return <Chip tone="bad">no heartbeat: the process is not running</Chip>
  const age = Math.max(0, second.value + live.value.skew - heartbeatAt)
  return (
    <Chip tone={age < 3_000 ? 'good' : 'bad'} title={facts?.host ? `process ${facts.pid ?? '?'} on ${facts.host}` : ''}>
      {age < 3_000 ? 'live' : `no heartbeat for ${Math.round(age / 1000)} s`}
    </Chip>
  )
}

function nextTheme(): void {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? 'auto'
  if (theme.value === 'auto') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = theme.value
}

function short(text: string): string {
  return text.length > 48 ? `${text.slice(0, 47)}…` : text
}
