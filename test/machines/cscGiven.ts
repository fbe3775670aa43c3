import type { Command } from '../../machines/domain/commands.ts'
import type { Emission, Known } from '../../machines/domain/messages.ts'
import { type SummaryState } from '../../machines/domain/summaryState.ts'
import { aCaller, aConfiguration, given, loaded, type Given } from '../harness.ts'

/** The CSC as its tests begin with it, and what it said. */

export const caller = aCaller('m1')

export const configuration = aConfiguration()

export type Asking = Command & { readonly known: Known }

export const plain = (
  name: 'enable' | 'disable' | 'standby' | 'exitControl' | 'pause' | 'resume',
  who = caller,
): Asking => ({
  type: `command.${name}`,
  caller: who,
  known: {},
})

export const start: Extract<Asking, { type: 'command.start' }> = {
  type: 'command.start',
  caller,
  known: {},
  configurationOverride: '',
  loaded: loaded(configuration),
}

export const reload: Extract<Asking, { type: 'command.reload' }> = {
  type: 'command.reload',
  caller,
  known: {},
  loaded: loaded(configuration),
}

export const fault = (errorCode = 3, errorReport = 'job machine: x', traceback = 'actor job.j1') =>
  ({ type: 'engine.fault', errorCode, errorReport, traceback }) as const

export const standby = given('csc', { instance: 'LATISS' })

export const IN: Record<SummaryState, Given<'csc'>> = {
  STANDBY: standby,
  DISABLED: standby.when(start),
  ENABLED: standby.when(start, plain('enable')),
  FAULT: standby.when(fault()),
  OFFLINE: standby.when(plain('exitControl')),
}

export const STATES = Object.keys(IN) as SummaryState[]

export function topics(emissions: readonly Emission[]): string[] {
  return emissions.flatMap(emission => (emission.type === 'event' ? [emission.topic] : []))
}
