/// <reference lib="dom" />
/**
 * The question before every command: what is sent, to whom, in whose name, and what follows. Enter sends, Escape does
 * not, and the focus goes back to where it was. Then it shows what was answered.
 */
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { Answered } from '../commands.ts'
import { mayCommand, newId, type Offer, offered, rememberWho, send, who, WHO_PATTERN } from './commanding.ts'
import { night } from './store.ts'

/** A button that asks first. Not there where commands are not allowed. */
export function CommandButton({ offer, label }: { offer: Offer; label?: string }) {
  if (!mayCommand.value) return null
  return (
    <button
      type="button"
      class={offer.isGrave === true ? 'command grave' : 'command'}
      aria-haspopup="dialog"
      title={offer.effect}
      onClick={() => {
        offered.value = offer
      }}
    >
      {label ?? offer.verb}
    </button>
  )
}

export function Confirm() {
  const offer = offered.value
  return offer === null ? null : <Question key={offer.title} offer={offer} />
}

function Question({ offer }: { offer: Offer }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [id] = useState(newId)
  const [chosen, choose] = useState<Readonly<Record<string, string>>>({})
  const [isGoing, setGoing] = useState(false)
  const [answer, setAnswer] = useState<Answered | null>(null)
  // Before the next key is heard: whoever presses Enter twice means the question the second time.
  useLayoutEffect(() => dialog.current?.showModal(), [])
  // Whoever sent with Enter closes with Enter.
  useLayoutEffect(() => dialog.current?.querySelector<HTMLElement>('[data-first]')?.focus(), [answer])
  const body = { ...offer.body, ...Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== '')) }
  const identity = who.value === '' ? 'inspector' : `${who.value}@inspector`
  const ask = async () => {
    if (isGoing) return
    setGoing(true)
    setAnswer(await send(offer.command, { who: who.value, id, body }))
    setGoing(false)
  }
  // Closing gives the focus back; only then may the dialog go.
  const close = () => dialog.current?.close()
  return (
    <dialog
      ref={dialog}
      class="confirm"
      aria-labelledby="confirm-title"
      onClose={() => {
        offered.value = null
      }}
    >
      <h2 id="confirm-title">{answer === null ? offer.title : offer.title.replace(/\?$/, '')}</h2>
      {answer === null ? (
        <form
          onSubmit={event => {
            event.preventDefault()
            void ask()
          }}
        >
          <p>{offer.effect}</p>
          {(offer.choices ?? []).map(({ field, label, options }) => (
            <label key={field}>
              <span>{label}</span>
              <select
                value={chosen[field] ?? ''}
                onChange={event => choose({ ...chosen, [field]: event.currentTarget.value })}
              >
                {options.map(({ value, label: text }) => (
                  <option key={value} value={value}>
                    {text}
                  </option>
                ))}
              </select>
            </label>
          ))}
          <label>
            <span>your name</span>
            <input
              value={who.value}
              onInput={event => rememberWho(event.currentTarget.value)}
              pattern={WHO_PATTERN}
              maxLength={32}
              placeholder="for the journal; may be left out"
              title="1 to 32 letters, digits, dots, _ or -"
              autocomplete="off"
              spellcheck={false}
            />
          </label>
          <div class="sent">
            <span class="muted">
              sent to {night().instance} as <b>{identity}</b>
            </span>
            <code>
              {offer.command} {JSON.stringify(body)}
            </code>
          </div>
          <div class="answers">
            <button type="button" onClick={close}>
              Cancel
            </button>
            <button type="submit" data-first class={offer.isGrave === true ? 'yes grave' : 'yes'} disabled={isGoing}>
              {isGoing ? 'Sending…' : offer.verb}
            </button>
          </div>
        </form>
      ) : (
        <>
          <p role="status" class={answer.isAccepted ? 'answer good' : 'answer bad'}>
            <span aria-hidden="true">{answer.isAccepted ? '●' : '✕'}</span> {answer.text}
          </p>
          <div class="answers">
            {!answer.isAccepted && (
              <button type="button" onClick={() => setAnswer(null)}>
                Back
              </button>
            )}
            <button type="button" data-first class="yes" onClick={close}>
              Close
            </button>
          </div>
        </>
      )}
    </dialog>
  )
}
