/**
 * Which actors a viewer asked for: `?actor=csc,job.20261122-000017`, `?kind=csc,queue`; both add up, neither means all.
 */
import { machines, type MachineKind } from '../../../machines/index.ts'
import type { Shown } from './messages.ts'

export type Choice =
  | { readonly ok: true; readonly wants: (shown: Shown) => boolean }
  | { readonly ok: false; readonly problem: string }

// Those there is one of come first, then what people look for; the others after them.
const FIRST: readonly MachineKind[] = ['csc', 'queue', 'shelf', 'gather', 'job']

export const KINDS: readonly MachineKind[] = [...new Set([...FIRST, ...(Object.keys(machines) as MachineKind[])])]

export function choiceOf(query: URLSearchParams): Choice {
  const actors = new Set(listed(query, 'actor'))
  const kinds = new Set(listed(query, 'kind'))
  const unknown = [...kinds].find(kind => !(kind in machines))
  // A reason for closing a socket has room for 123 bytes.
  if (unknown !== undefined) return { ok: false, problem: `?kind=${shortly(unknown)}: there are ${KINDS.join(', ')}` }
  if (actors.size === 0 && kinds.size === 0) return { ok: true, wants: () => true }
  return { ok: true, wants: ({ address, kind }) => actors.has(address) || kinds.has(kind) }
}

function listed(query: URLSearchParams, name: string): string[] {
  return query
    .getAll(name)
    .flatMap(value => value.split(','))
    .filter(value => value !== '')
}

function shortly(text: string): string {
  return encodeURIComponent(text).slice(0, 20)
}
