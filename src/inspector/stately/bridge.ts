/**
 * The page that hands the messages to a viewer elsewhere: `/stately?to=<address>`, Stately's own unless told otherwise.
 * Nothing is handed over before a person says so; the page may frame that address and nothing else, and says in its
 * policy what it may run and reach. What happens in the browser is bridgeScript.ts.
 */
import { createHash } from 'node:crypto'
import { bridge } from './bridgeScript.ts'

export interface BridgeFile {
  readonly code: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export const STATELY_URL = 'https://stately.ai/inspect'

// An address, not a document.
const TO_MAX = 2_000

const STYLE = `
:root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif }
body { margin: 0; height: 100vh; display: flex; flex-direction: column }
header { padding: 0.6rem 1rem; border-bottom: 1px solid #8886 }
header p { margin: 0.2rem 0; max-width: 90ch }
button { font: inherit; margin-right: 0.5rem }
iframe { flex: 1; border: 0; background: #fff }
`

// Of the function's own text: it uses nothing from outside itself.
const SCRIPT = `(${bridge.toString()})()\n`

/** The answer to a path of the bridge; null for every other path. */
export function bridgeFile(path: string, query: URLSearchParams): BridgeFile | null {
  if (path === '/stately/bridge.js') return { code: 200, headers: { 'Content-Type': 'text/javascript' }, body: SCRIPT }
  if (path !== '/stately') return null
  const to = targetOf(query.get('to') ?? STATELY_URL)
  if (typeof to === 'string')
    return { code: 400, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body: `${to}\n` }
  return {
    code: 200,
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': policyFor(to),
      // A window that this page opens must be able to answer it.
      'Cross-Origin-Opener-Policy': 'same-origin-allow-popups',
    },
    body: pageFor(to),
  }
}

/** The address, or one sentence why it cannot be one. */
export function targetOf(text: string): URL | string {
  const rule = `?to= takes the http or https address of an inspector, such as ${STATELY_URL}`
  if (text.length > TO_MAX) return `${rule}; this one is longer than ${TO_MAX} characters.`
  if (!URL.canParse(text)) return `${rule}; ${JSON.stringify(text)} is no address.`
  const to = new URL(text)
  if (to.protocol !== 'http:' && to.protocol !== 'https:') return `${rule}; ${JSON.stringify(to.protocol)} is neither.`
  if (to.username !== '' || to.password !== '') return `${rule}, without a user name or a password.`
  // A content security policy has no spelling for it.
  if (to.hostname.startsWith('[')) return `${rule}; name the machine instead of ${to.hostname}.`
  return to
}

function policyFor({ origin, pathname }: URL): string {
  const style = createHash('sha256').update(STYLE).digest('base64')
  // These two end a source or a directive.
  const path = pathname.replaceAll(';', '%3B').replaceAll(',', '%2C')
  return `default-src 'none'; script-src 'self'; style-src 'sha256-${style}'; img-src data:; connect-src 'self'; frame-src ${origin}${path}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
}

function pageFor({ href, host }: URL): string {
  const to = escaped(href)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>OCPS in ${escaped(host)}</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<header>
<p>Statecharts and messages of this instance, live, in <a id="to" href="${to}" rel="noreferrer" target="_blank">${to}</a>: that page gets
every state, context and message shown here, and can send nothing back. Nothing is handed over until you choose.</p>
<p><button id="here">Show it here</button><button id="window">Show it in a window of its own</button><span id="status" role="status"></span></p>
</header>
<script src="/stately/bridge.js" defer></script>
</body>
</html>
`
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
}
