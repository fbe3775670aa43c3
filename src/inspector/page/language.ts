/// <reference lib="dom" />
/**
 * Imported first: a browser in the C locale says that its language is `en-US@posix`, which is none, and whatever
 * formats numbers with it (uPlot does while it loads) throws and leaves the page blank. Such a browser speaks English
 * here.
 */
try {
  Intl.getCanonicalLocales(navigator.language)
} catch {
  Object.defineProperty(navigator, 'language', { value: 'en-US', configurable: true })
  Object.defineProperty(navigator, 'languages', { value: ['en-US'], configurable: true })
}
