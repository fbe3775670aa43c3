import type { Event } from './domain/announcements.ts'
import type { EngineMessage } from './domain/messages.ts'
import { SUMMARY_STATE, type SummaryState } from './domain/summaryState.ts'

/** The events with which the csc says what it is. */

export type Started = Extract<EngineMessage, { type: 'engine.started' }>

interface Present {
  readonly logLevel: number
  readonly errorCode: number
  readonly errorReport: string
}

/** What a CSC says of itself when its process begins, in salobj's order (base_csc.py start_phase2). */
export function presence(context: Present, started: Started, state: SummaryState): Event[] {
  const { ocps, xstate, node, machines } = started.versions
  return [
    { topic: 'logLevel', key: null, body: { level: context.logLevel, subsystem: '' } },
    { topic: 'simulationMode', key: null, body: { mode: started.simulationMode } },
    {
      topic: 'softwareVersions',
      key: null,
      body: {
        salVersion: '',
        xmlVersion: '',
        cscVersion: ocps,
        subsystemVersions: `machines=${machines},xstate=${xstate},node=${node}`,
      },
    },
    stateEvent(state),
    errorEvent(context, ''),
    { topic: 'configurationsAvailable', key: null, body: started.available },
  ]
}

export function stateEvent(state: SummaryState): Event {
  return { topic: 'summaryState', key: null, body: { summaryState: SUMMARY_STATE[state] } }
}

export function errorEvent({ errorCode, errorReport }: Present, traceback: string): Event {
  return { topic: 'errorCode', key: null, body: { errorCode, errorReport, traceback } }
}
