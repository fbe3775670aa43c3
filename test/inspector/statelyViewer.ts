/// <reference lib="dom" />
import { createBrowserReceiver, type StatelyInspectionEvent } from '@statelyai/inspect'

/*
 * A page like Stately's, as small as it gets: the package's own receiver, and what it heard. Bundled by the test that
 * shows it.
 */

declare global {
  interface Window {
    heard: StatelyInspectionEvent[]
  }
}

window.heard = []
createBrowserReceiver().subscribe(message => {
  window.heard.push(message)
})
