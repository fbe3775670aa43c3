/**
 * The built page, read once: what the gateway serves, and one file that needs no server for a recording. Promises that
 * nothing but these files is served as a part of the page, and that the single file runs nothing but our script (its
 * CSP names the hash).
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from '../userError.ts'

export interface PageFiles {
  /** Path → file. */
  readonly files: ReadonlyMap<string, { readonly mime: string; readonly body: string }>
}

/** Charts as the page reads them: machine kind → drawing. */
export type Charts = Readonly<Record<string, { readonly svg: string }>>

/** Throws UserError where the page has not been built. */
export function readPage(charts: Charts): PageFiles {
  const directory = pageDirectory()
  const file = (name: string, mime: string) => ({ mime, body: readFileSync(join(directory, name), 'utf8') })
  return {
    files: new Map([
      ['/', file('index.html', 'text/html; charset=utf-8')],
      ['/app.js', file('app.js', 'text/javascript; charset=utf-8')],
      ['/app.css', file('app.css', 'text/css; charset=utf-8')],
      ['/charts.json', { mime: 'application/json', body: JSON.stringify(charts) }],
    ]),
  }
}

/** One HTML file that shows a recording by itself: page, charts and entries inside. */
export function singleFile({ page, instance, lines }: { page: PageFiles; instance: string; lines: string }): string {
  const script = page.files.get('/app.js')?.body ?? ''
  const style = page.files.get('/app.css')?.body ?? ''
  // Inside a script element only `</script` and `<!--` end or change it; JavaScript and JSON both read the escapes as
  // the same text.
  const code = script.replaceAll('</script', String.raw`<\/script`).replaceAll('<!--', String.raw`<\!--`)
  const data = JSON.stringify({
    instance,
    lines,
    charts: JSON.parse(page.files.get('/charts.json')?.body ?? '{}') as unknown,
  })
  const hash = createHash('sha256').update(code).digest('base64')
  const policy = `default-src 'none'; script-src 'sha256-${hash}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>OCPS recording</title>
<link rel="icon" href="data:,">
<style>${style.replaceAll('</style', '')}</style>
</head>
<body>
<div id="app"></div>
<script type="application/json" id="recording">${data.replaceAll('<', String.raw`\u003c`)}</script>
<script type="module">${code}</script>
</body>
</html>
`
}

/** dist/inspector, seen from the sources and from dist alike. */
function pageDirectory(): string {
  for (
    let directory = dirname(fileURLToPath(import.meta.url));
    dirname(directory) !== directory;
    directory = dirname(directory)
  )
    for (const place of [join(directory, 'inspector'), join(directory, 'dist', 'inspector')])
      if (isPage(place)) return place
  throw new UserError('the page of the inspector is not built; run "npm run build" in the directory OCPS came in')
}

function isPage(directory: string): boolean {
  try {
    readFileSync(join(directory, 'app.js'))
    return true
  } catch {
    return false
  }
}
