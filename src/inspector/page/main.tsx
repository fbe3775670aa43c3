/// <reference lib="dom" />
/**
 * The inspector's page: the address after # says which view. Live when it comes from a gateway; showing a recording
 * when one is inside it or is dropped on it. Asks nothing of anybody but its own gateway.
 */
import './language.ts'
import { computed, signal } from '@preact/signals'
import { render } from 'preact'
import type { Charts } from '../pageFiles.ts'
import { ActorView } from './ActorView.tsx'
import { ChartsView } from './ChartsView.tsx'
import { Confirm } from './Confirm.tsx'
import { FocalPlaneView } from './FocalPlaneView.tsx'
import { Header, nameOf } from './Header.tsx'
import { ImagesView } from './ImagesView.tsx'
import { JournalView } from './JournalView.tsx'
import { connect } from './link.ts'
import { MetricsView } from './MetricsView.tsx'
import { NightView } from './NightView.tsx'
import { ShelfView } from './ShelfView.tsx'
import { Scrubber } from './Scrubber.tsx'
import {
  caughtUp,
  charts,
  entryCount,
  isTravelling,
  night,
  openRecording,
  problem,
  second,
  skipped,
  source,
} from './store.ts'
import { draw, version } from './frames.ts'

const route = signal(location.hash)
const dropProblem = signal('')

function Page() {
  const [view = '', rest = ''] = route.value.replace(/^#\/?/, '').split(/\/(.*)/s)
  return (
    <>
      <Header view={view} />
      <Banners />
      <main>
        {/* An actor's page has its own heading; the others are named for who cannot see which tab is lit. */}
        {view !== 'actor' && <h1 class="unseen">{nameOf(view)}</h1>}
        {isEmpty.value ? <Waiting /> : <View view={view} rest={rest} />}
      </main>
      <Scrubber />
      <Confirm />
    </>
  )
}

/** Nothing can be shown yet. */
const isEmpty = computed(() => {
  void version.value
  if (entryCount() === 0) return !caughtUp.value
  // There is something, and none of it is folded yet.
  return !isTravelling.value && night().n === 0
})

function Banners() {
  void version.value
  const texts = [problem.value, dropProblem.value, otherVersion(), passedOver()].filter(Boolean)
  return (
    <>
      {texts.map(text => (
        <p key={text} class="banner" role="alert">
          {text}
        </p>
      ))}
    </>
  )
}

function View({ view, rest }: { view: string; rest: string }) {
  switch (view) {
    case 'actor':
      return <ActorView key={rest} address={decoded(rest)} />
    case 'charts':
      return <ChartsView kind={rest} />
    case 'metrics':
      return <MetricsView />
    case 'images':
      return <ImagesView jobId={decoded(rest)} />
    case 'focal':
      return <FocalPlaneView obsid={decoded(rest)} />
    case 'shelf':
      return <ShelfView />
    case 'journal':
      return <JournalView />
    default:
      return <NightView />
  }
}

function Waiting() {
  return (
    <section class="panel waiting">
      <h2>Reading the journal…</h2>
      <p class="muted">Or drop a recording (night.ndjson or night.ndjson.gz) on this page.</p>
    </section>
  )
}

function otherVersion(): string {
  return night().writtenByOthers
    ? 'Machines of another version wrote this journal; what is shown may differ from what happened then.'
    : ''
}

function passedOver(): string {
  return skipped.value
    ? `This page could not keep up and passed over entries ${skipped.value.from} to ${skipped.value.to}: what is open is right, what was over in between is not shown. Loading the page again reads all there is.`
    : ''
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

async function openFile(file: File): Promise<void> {
  const stream = file.name.endsWith('.gz') ? file.stream().pipeThrough(new DecompressionStream('gzip')) : file.stream()
  openRecording(file.name, await new Response(stream).text())
}

function acceptDrops(): void {
  document.addEventListener('dragover', event => event.preventDefault())
  document.addEventListener('drop', event => {
    event.preventDefault()
    const [file] = event.dataTransfer?.files ?? []
    if (!file) return
    dropProblem.value = ''
    openFile(file).catch((error: unknown) => {
      dropProblem.value = `${file.name} cannot be shown: ${error instanceof Error ? error.message : String(error)}`
    })
  })
}

async function begin(): Promise<void> {
  const inside = document.querySelector('#recording')?.textContent
  if (inside) {
    const { instance, lines, charts: drawn } = JSON.parse(inside) as { instance: string; lines: string; charts: Charts }
    charts.value = drawn
    source.value = 'recording'
    openRecording('the recording inside this file', lines, instance)
    return
  }
  connect()
  const response = await fetch('/charts.json')
  if (response.ok) charts.value = (await response.json()) as Charts
}

addEventListener('hashchange', () => {
  route.value = location.hash
  scrollTo(0, 0)
})
setInterval(() => {
  second.value = Date.now()
  if (source.value === 'live') draw()
}, 1_000)
acceptDrops()
const app = document.querySelector('#app')
if (app) render(<Page />, app)
begin().catch((error: unknown) => {
  dropProblem.value = error instanceof Error ? error.message : String(error)
})
