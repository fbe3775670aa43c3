import { findBrowser } from './inspector/browser.ts'
import { find, type ProgramName } from './outside.ts'

export function isThere(program: ProgramName): boolean {
  return program === 'chromium' ? findBrowser() !== null : find(program) !== null
}
