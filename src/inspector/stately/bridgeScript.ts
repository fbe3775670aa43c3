/// <reference lib="dom" />
/**
 * What the bridge page does in the browser. Sent as the text of one function, so it may use nothing from outside
 * itself. The viewer says `@statelyai.connected` whenever it is ready, and each time the socket is opened anew: the
 * gateway sends every actor as it is by then, so nothing has to be kept here for a viewer that comes late or is
 * reloaded.
 */
import type { Attached } from './hub.ts'

export function bridge(): void {
  // A gateway that is restarted is back within a second or two.
  const RETRY_MS = 1_000
  // Of RFC 6455, with a reason to read: to come again would not help.
  const FINAL = [1008, 1011]

  const link = element('to', HTMLAnchorElement)
  const status = element('status', HTMLElement)
  const { href, origin } = new URL(link.href)
  let viewer: Window | null = null
  let socket: WebSocket | null = null

  element('here', HTMLButtonElement).addEventListener('click', () => {
    document.querySelector('iframe')?.remove()
    const frame = document.createElement('iframe')
    frame.title = `The inspector at ${new URL(href).host}`
    // It keeps its own origin, and cannot lead this window elsewhere.
    frame.setAttribute('sandbox', 'allow-scripts allow-same-origin allow-forms allow-popups')
    frame.src = href
    document.body.append(frame)
    begin(frame.contentWindow)
  })
  element('window', HTMLButtonElement).addEventListener('click', () => begin(open(href, 'ocps-stately')))
  addEventListener('message', ({ source, origin: from, data }: MessageEvent<unknown>) => {
    if (source === null || source !== viewer || from !== origin) return
    if (typeof data === 'object' && data !== null && 'type' in data && data.type === '@statelyai.connected') attach()
  })
  addEventListener('pagehide', () => viewer?.postMessage({ type: '@statelyai.disconnected' }, origin))

  function begin(opened: Window | null): void {
    leave()
    viewer = opened
    status.textContent = opened
      ? `waiting for ${new URL(href).host} to answer`
      : 'the browser did not open a window; allow pop-ups for this page'
  }

  function attach(): void {
    leave()
    const query = new URLSearchParams(location.search)
    query.delete('to')
    const mine = new WebSocket(
      `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/stately/ws?${query.toString()}`,
    )
    socket = mine
    status.textContent = 'attached; waiting for the journal to be read'
    mine.addEventListener('message', ({ data }) => {
      if (socket !== mine) return
      const message = JSON.parse(String(data)) as { readonly type: string }
      if (message.type === '@ocps.attached') greet(message as Attached)
      else viewer?.postMessage(message, origin)
    })
    mine.addEventListener('close', ({ code, reason }) => {
      if (socket !== mine) return
      const isFinal = FINAL.includes(code)
      status.textContent = isFinal ? reason : 'the inspector is away; trying again'
      if (!isFinal) setTimeout(() => socket === mine && attach(), RETRY_MS)
    })
  }

  function leave(): void {
    const old = socket
    socket = null
    old?.close()
  }

  function greet({ instance, live, shown }: Attached): void {
    const which =
      shown < live ? `${shown} of ${live} live actors; choose with ?kind= or ?actor=` : `${live} live actors`
    status.textContent = `attached to ${instance}: ${which}`
  }

  function element<E extends HTMLElement>(id: string, kind: { new (): E; prototype: E }): E {
    const found = document.querySelector(`#${id}`)
    if (found instanceof kind) return found
    throw new Error(`the page has no ${id}`)
  }
}
