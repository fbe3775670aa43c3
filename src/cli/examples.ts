/** The examples at the end of a help text, one per line. */
export function examples(lines: string): string {
  return `\nExamples:\n${lines
    .trim()
    .split('\n')
    .map(line => `  ${line.trim()}`)
    .join('\n')}`
}
