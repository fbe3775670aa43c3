import { readFileSync, writeFileSync } from 'node:fs'
import { current, PAGES, root } from './tables.ts'

/* `npm run pages`: writes the tables of the README pages anew, from the schemas and lists of the code. */
for (const path of PAGES) {
  const file = new URL(path, root)
  const page = readFileSync(file, 'utf8')
  writeFileSync(file, current(page))
}
