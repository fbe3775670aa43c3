/// <reference lib="dom" />
/**
 * The charts of every kind of machine, each lit for the actor of its kind that did something last, or for the one that
 * is chosen.
 */
import type { MachineKind } from '../../../machines/index.ts'
import { machines } from '../../../machines/index.ts'
import { leafOf, type Night } from '../../night/night.ts'
import { Chart } from './Chart.tsx'
import { Actor, Chip, clock, Empty, Section, stateTone } from './parts.tsx'
import { night } from './store.ts'
import { version } from './frames.ts'
import { readable } from './taken.ts'

const KINDS = Object.keys(machines) as MachineKind[]

// Live actors of a kind that are listed beside its chart.
const LISTED_MAX = 60

export function ChartsView({ kind }: { kind: string }) {
  void version.value
  const tonight = night()
  const chosen = KINDS.find(one => one === kind) ?? 'csc'
  const step = tonight.lastOf.get(chosen) ?? null
  const first = tonight.world.actors(chosen)[Symbol.iterator]().next()
  const snapshot = step?.after ?? (first.done ? null : first.value.snapshot)
  return (
    <div>
      <nav class="kinds" aria-label="kinds of machines">
        {KINDS.map(one => (
          <a key={one} href={`#/charts/${one}`} aria-current={one === chosen ? 'page' : undefined}>
            {one} <small>{count(tonight.world.actors(one))}</small>
          </a>
        ))}
      </nav>
      <div class="columns wide-left">
        <Section title={`Chart of ${chosen}`}>
          <p class="muted as-of">
            {step ? (
              <>
                as of <Actor address={step.address} />, which heard {readable(step.event.type)} at {clock(step.at)} UTC
              </>
            ) : (
              'None of this kind has heard anything yet.'
            )}
          </p>
          <Chart kind={chosen} snapshot={snapshot} step={step} />
        </Section>
        <Actors night={tonight} kind={chosen} />
      </div>
    </div>
  )
}

function count(actors: Iterable<unknown>): number {
  let found = 0
  for (const _ of actors) found += 1
  return found
}

function Actors({ night: tonight, kind }: { night: Night; kind: MachineKind }) {
  const actors = [...tonight.world.actors(kind)]
  return (
    <Section title="Live actors" note={actors.length}>
      {actors.length === 0 && <Empty>None of this kind lives at this moment.</Empty>}
      {actors.length > LISTED_MAX && <p class="muted">the newest {LISTED_MAX}</p>}
      <ul class="actors">
        {actors
          .slice(-LISTED_MAX)
          .reverse()
          .map(({ address, snapshot }) => (
            <li key={address}>
              <Chip tone={stateTone(leafOf(snapshot))}>{leafOf(snapshot)}</Chip> <Actor address={address} />
            </li>
          ))}
      </ul>
    </Section>
  )
}
