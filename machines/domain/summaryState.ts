/**
 * salobj's summary states with their values on the wire (ts_xml sal_enums.py). The order of the numbers is not the
 * order of the lifecycle.
 */
export const SUMMARY_STATE = { DISABLED: 1, ENABLED: 2, FAULT: 3, OFFLINE: 4, STANDBY: 5 } as const

export type SummaryState = keyof typeof SUMMARY_STATE

/** The lifecycle in the order a CSC walks it; FAULT stands apart. */
const LIFECYCLE = ['OFFLINE', 'STANDBY', 'DISABLED', 'ENABLED'] as const

export type TransitionCommand = 'start' | 'enable' | 'disable' | 'standby' | 'exitControl'

const UP = { STANDBY: 'start', DISABLED: 'enable' } as const
const DOWN = { ENABLED: 'disable', DISABLED: 'standby', STANDBY: 'exitControl' } as const

/**
 * The commands that lead from one summary state to another, in order, each with the state it reaches (salobj
 * csc_utils.make_state_transition_dict). From FAULT the way is standby, then on. Returns null where no chain leads: to
 * FAULT, or up from OFFLINE.
 */
export function transitionChain(
  from: SummaryState,
  to: SummaryState,
): readonly { readonly command: TransitionCommand; readonly reaches: SummaryState }[] | null {
  if (to === 'FAULT') return null
  if (from === to) return []
  if (from === 'OFFLINE') return null
  if (from === 'FAULT') {
    const rest = transitionChain('STANDBY', to)
    return rest && [{ command: 'standby', reaches: 'STANDBY' }, ...rest]
  }
  const goal = LIFECYCLE.indexOf(to)
  const chain: { command: TransitionCommand; reaches: SummaryState }[] = []
  for (let at = LIFECYCLE.indexOf(from), state: SummaryState = from; at !== goal; ) {
    const up = at < goal
    const command: TransitionCommand | undefined = up
      ? (UP as Partial<Record<SummaryState, TransitionCommand>>)[state]
      : (DOWN as Partial<Record<SummaryState, TransitionCommand>>)[state]
    at += up ? 1 : -1
    const reaches = LIFECYCLE[at]
    if (command === undefined || reaches === undefined) return null
    state = reaches
    chain.push({ command, reaches })
  }
  return chain
}
