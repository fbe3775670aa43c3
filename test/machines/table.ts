import { readFileSync } from 'node:fs'
import type { AnyStateMachine } from 'xstate'
import { machines, type MachineKind } from '../../machines/index.ts'

/*
 * The table that opens a machine's file, held against its chart: every state and every event named in one exists in the
 * other, so that the comment a reviewer trusts cannot drift.
 */

export function tableProblems(kind: MachineKind): string[] {
  const machine: AnyStateMachine = machines[kind]
  const rows = tableOf(readFileSync(new URL(`../../machines/${kind}.ts`, import.meta.url), 'utf8'))
  const named = statesNamed(rows)
  const { all, leaves } = statesOf(machine)
  const events = machine.events.filter(event => !event.startsWith('xstate.') && !event.endsWith('*'))
  const labels = rows.flatMap(row => [...row.matchAll(/--(.+?)-*->/g)].map(match => match[1] ?? ''))
  const text = rows.join('\n')
  return [
    ...(rows.length === 0 ? ['there is no table'] : []),
    ...[...named].filter(name => !all.has(name)).map(name => `the chart has no state ${name}`),
    ...[...leaves].filter(name => !named.has(name)).map(name => `the table does not name the state ${name}`),
    ...labels
      .flatMap(label => label.match(/\b[a-z]+\.[a-zA-Z]+\b/g) ?? [])
      .filter(event => !events.includes(event))
      .map(event => `the chart has no event ${event}`),
    ...events
      .filter(event => !new RegExp(`\\b${event.split('.').at(-1)}\\b`).test(text))
      .map(event => `the table does not name the event ${event}`),
  ]
}

/** The rows: lines of the opening comment that hold an arrow. */
function tableOf(source: string): string[] {
  const comment = source.slice(source.indexOf('/*\n'), source.indexOf('*/'))
  return comment
    .split('\n')
    .filter(line => line.includes('-->'))
    .map(line => line.replace(/^ \* +/, ''))
}

/** Left of each arrow `a, b --x--> c`, and right of it; what is in parentheses, and what `any` state does, is prose. */
function statesNamed(rows: readonly string[]): Set<string> {
  const named = new Set<string>()
  for (const row of rows) {
    const parts = row.split(/--.+?-*->/)
    let sources: string[] = []
    for (const [index, part] of parts.entries()) {
      // Between two arrows stand a target and, two spaces on, the sources of the next.
      const chunks = part
        .replaceAll(/\(.*?\)/g, '')
        .trim()
        .split(/ {2,}/)
      const target = index === 0 ? '' : (chunks[0] ?? '')
      const told = sources.includes('any') && !/^\w+$/.test(target)
      for (const word of told ? [] : firstWords(target)) named.add(word)
      // A second arrow without sources of its own goes on with those of the first.
      if (index === 0 || chunks.length > 1) sources = (chunks.at(-1) ?? '').split(/, */)
      if (index < parts.length - 1) for (const source of sources) named.add(source)
    }
  }
  for (const word of ['', 'any', 'refused']) named.delete(word)
  return named
}

/** `open, or closing if it is the last` names open and closing; `slot.granted to it` is a message. */
function firstWords(target: string): string[] {
  return target
    .split(/,? or |, /)
    .map(words => words.split(' ')[0] ?? '')
    .filter(word => !word.includes('.'))
}

function statesOf(machine: AnyStateMachine): { all: Set<string>; leaves: Set<string> } {
  const all = new Set<string>()
  const leaves = new Set<string>()
  const visit = (node: AnyStateMachine['root']) => {
    for (const child of Object.values(node.states)) {
      all.add(child.key)
      if (child.type === 'atomic' || child.type === 'final') leaves.add(child.key)
      visit(child)
    }
  }
  visit(machine.root)
  return { all, leaves }
}
