/**
 * Plain data as JSON in which an object that is held in several places is written once. The state of a busy instance
 * names the same pipelines and the same configuration in every job and group: written out it is some ten times larger,
 * and read back it would take as much more memory.
 */

/** `$` is a place in `shared`; an object of its own that has a field `$` is wrapped as `{$: -1, of}`. */
interface Packed {
  readonly shared: unknown[]
  readonly value: unknown
}

export function toSharedJson(value: unknown): string {
  const times = new Map<object, number>()
  const places = new Map<object, number>()
  const shared: unknown[] = []
  count(value)
  return JSON.stringify({ value: place(value), shared } satisfies Packed)

  function count(one: unknown): void {
    if (typeof one !== 'object' || one === null) return
    const before = times.get(one)
    times.set(one, (before ?? 0) + 1)
    if (before !== undefined) return
    if (Array.isArray(one)) for (const inner of one) count(inner)
    else {
      const fields = one as Readonly<Record<string, unknown>>
      for (const key in fields) count(fields[key])
    }
  }

  function place(one: unknown): unknown {
    if (typeof one !== 'object' || one === null) return one
    if (times.get(one) === 1) return inside(one)
    const known = places.get(one)
    if (known !== undefined) return { $: known }
    const at = shared.push(null) - 1
    places.set(one, at)
    shared[at] = inside(one)
    return { $: at }
  }

  function inside(one: object): unknown {
    if (Array.isArray(one)) return one.map(place)
    const fields = one as Readonly<Record<string, unknown>>
    if ('$' in fields) return { $: -1, of: copyOf(fields) }
    // Plain data: nothing is inherited, and most of it holds no object and needs no copy.
    for (const key in fields) if (typeof fields[key] === 'object') return copyOf(fields)
    return fields
  }

  function copyOf(fields: Readonly<Record<string, unknown>>): object {
    const copy: Record<string, unknown> = {}
    for (const key in fields) {
      const inner = fields[key]
      copy[key] = typeof inner === 'object' ? place(inner) : inner
    }
    return copy
  }
}

/** What toSharedJson was given, with the same objects in the same places. Throws SyntaxError for what is not JSON. */
export function fromSharedJson(text: string): unknown {
  const { shared, value } = JSON.parse(text) as Packed
  // Each is filled in where it lies, so that it does not matter which names which.
  for (const [at, one] of shared.entries()) shared[at] = unwrapped(one)
  for (const one of shared) fill(one)
  return put(value)

  function put(one: unknown): unknown {
    if (typeof one !== 'object' || one === null) return one
    const { $: at } = one as { $?: number }
    if (at !== undefined && at >= 0) return shared[at]
    const own = unwrapped(one)
    fill(own)
    return own
  }

  function fill(one: unknown): void {
    if (typeof one !== 'object' || one === null) return
    const fields = one as Record<string, unknown>
    for (const key in fields) {
      const inner = fields[key]
      if (typeof inner === 'object' && inner !== null) fields[key] = put(inner)
    }
  }
}

function unwrapped(one: unknown): unknown {
  return typeof one === 'object' && one !== null && (one as { $?: number }).$ === -1
    ? (one as { of?: unknown }).of
    : one
}
