/// <reference lib="dom" />
/**
 * Commands from the page: what is offered to be confirmed, and how it is sent. Whether there are any is said by the
 * gateway; whether one is allowed now, by the instance. Offered only while the present is shown: nobody should act on
 * what was an hour ago.
 */
import { computed, signal } from '@preact/signals'
import type { Answered, PageRequest, PageCommand } from '../commands.ts'
import { place, source } from './store.ts'

export interface Offer {
  readonly command: PageCommand
  /** The question, and the word of the button that answers it. */
  readonly title: string
  readonly verb: string
  /** What follows from it, in a sentence or two. */
  readonly effect: string
  readonly body: Readonly<Record<string, string | number>>
  /** What may be said beside; '' leaves a field out. */
  readonly choices?: readonly Choice[]
  /** Ends what is going on. */
  readonly isGrave?: boolean
}

export interface Choice {
  readonly field: string
  readonly label: string
  readonly options: readonly { readonly value: string; readonly label: string }[]
}

/** The gateway carries commands. */
export const areAllowed = signal(false)
export const mayCommand = computed(() => areAllowed.value && source.value === 'live' && place.value === null)
/** What is to be confirmed now; null: nothing. */
export const offered = signal<Offer | null>(null)

/** Who sits here, kept by this browser. Nobody checks that it is true. */
export const who = signal(remembered())
export const WHO_PATTERN = '[A-Za-z0-9][A-Za-z0-9._\\-]{0,31}'

export function rememberWho(name: string): void {
  who.value = name
  try {
    localStorage.setItem(KEY, name)
  } catch {
    // A browser may keep nothing; then it is typed again next time.
  }
}

/** Under one id it is executed once, however often it is sent. `crypto.randomUUID` is not there without TLS. */
export function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, '0')).join('')
}

/** Never rejects: whatever goes wrong is the answer. */
export async function send(command: PageCommand, asked: PageRequest): Promise<Answered> {
  try {
    const response = await fetch(`/commands/${command}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(asked),
    })
    if (response.headers.get('Content-Type') === 'application/json') return (await response.json()) as Answered
    return { isAccepted: false, text: (await response.text()).trim(), jobIds: [] }
  } catch {
    const text = 'The inspector does not answer; whether the command was sent is not known. Sending it again is safe.'
    return { isAccepted: false, text, jobIds: [] }
  }
}

const KEY = 'ocps.who'

function remembered(): string {
  try {
    return localStorage.getItem(KEY) ?? ''
  } catch {
    return ''
  }
}
