/**
 * Where figures are noted: by system and figure, one value per round in the order of rounds. Promises medians with
 * their spread, nothing more.
 */
export class Sheet {
  readonly #values = new Map<string, Map<FigureName, number[]>>()

  note(system: string, figure: FigureName, value: number): void {
    const figures = this.#values.get(system) ?? new Map<FigureName, number[]>()
    this.#values.set(system, figures)
    const values = figures.get(figure)
    if (values) values.push(value)
    else figures.set(figure, [value])
  }

  /** Median and 99th percentile of times that belong to one round. */
  noteTimes(system: string, figure: FigureName, times: readonly number[]): void {
    if (times.length === 0) return
    this.note(system, `${figure} p50`, quantile(times, 0.5))
    this.note(system, `${figure} p99`, quantile(times, 0.99))
  }

  values(system: string, figure: FigureName): readonly number[] {
    return this.#values.get(system)?.get(figure) ?? []
  }

  has(system: string): boolean {
    return this.#values.has(system)
  }

  toJSON(): Record<string, Record<FigureName, readonly number[]>> {
    return Object.fromEntries([...this.#values].map(([system, figures]) => [system, Object.fromEntries(figures)]))
  }

  static from(json: ReturnType<Sheet['toJSON']>): Sheet {
    const sheet = new Sheet()
    for (const [system, figures] of Object.entries(json))
      for (const [figure, values] of Object.entries(figures))
        for (const value of values) sheet.note(system, figure, value)
    return sheet
  }
}

/** Words with spaces: `true c2 jobs/s`. */
export type FigureName = string

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** null for no values. */
export function spreadOf(values: readonly number[]): Spread | null {
  if (values.length === 0) return null
  return { median: quantile(values, 0.5), min: Math.min(...values), max: Math.max(...values) }
}

/** NaN for no values. Nearest rank; for the median of an even number the mean of the two in the middle. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((one, other) => one - other)
  if (q === 0.5 && sorted.length % 2 === 0)
    return ((sorted[sorted.length / 2 - 1] ?? Number.NaN) + (sorted[sorted.length / 2] ?? Number.NaN)) / 2
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}
