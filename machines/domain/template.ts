/**
 * How a word of a pipeline's command and the path of the data are spelled: `{name}` stands for a value, `{name:-text}`
 * for a value or, where a job has none, for the text. A list among the words is left out as a whole where one of its
 * placeholders has neither. `{"a": 1}` holds no placeholder.
 */
export interface Placeholder {
  /** As it is written, braces included. */
  readonly text: string
  readonly name: string
  /** null: there is none. */
  readonly otherwise: string | null
}

/** A word, or words that are left out together. */
export type CommandPart = string | readonly string[]

const PLACEHOLDER = /\{([A-Za-z][\w.-]*)(?::-([^{}]*))?\}/gu

/** In order, repeated ones too. */
export function placeholdersIn(template: string): Placeholder[] {
  return Array.from(template.matchAll(PLACEHOLDER), ([text, name = '', otherwise = null]) => ({
    text,
    name,
    otherwise,
  }))
}

/** The template with each placeholder replaced; what is put in is not read again. */
export function filledIn(template: string, valueOf: (placeholder: Placeholder) => string): string {
  return template.replaceAll(PLACEHOLDER, (text: string, name: string, otherwise: string | undefined) =>
    valueOf({ text, name, otherwise: otherwise ?? null }),
  )
}

/**
 * What a job must have a value for, each once: `{input}` stands for what the path of the data needs, and for itself
 * where that path is empty.
 */
export function needsOf(command: readonly CommandPart[], dataPath: string): string[] {
  const words = command.filter(part => typeof part === 'string').flatMap(needed)
  return [...new Set(words.flatMap(name => (name === 'input' && dataPath !== '' ? needed(dataPath) : [name])))]
}

export function isUsedIn(command: readonly CommandPart[], name: string): boolean {
  return command.flat().some(word => placeholdersIn(word).some(one => one.name === name))
}

function needed(template: string): string[] {
  return placeholdersIn(template).flatMap(({ name, otherwise }) => (otherwise === null ? [name] : []))
}
