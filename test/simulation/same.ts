/**
 * Whether two pieces of plain data are the same after JSON. Pairs found the same are remembered, so that comparing the
 * contexts of two worlds step by step costs what has changed, not what there is: machines never change data in place.
 * Small flat ones are not: to compare them again costs less.
 */
export function createSameness(): (one: unknown, other: unknown) => boolean {
  const known = new WeakMap<object, object>()

  const same = (one: unknown, other: unknown): boolean => {
    if (one === other) return true
    if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false
    if (known.get(one) === other) return true
    if (Array.isArray(one)) return Array.isArray(other) && sameItems(one, other)
    return !Array.isArray(other) && sameFields(one, other)
  }

  const sameItems = (one: readonly unknown[], other: readonly unknown[]): boolean => {
    if (one.length !== other.length) return false
    let isFlat = true
    for (let at = 0; at < one.length; at++) {
      const item = one[at]
      if (item === other[at]) continue
      isFlat = false
      if (!same(item, other[at])) return false
    }
    if (!isFlat || one.length > FLAT_MAX) known.set(one, other)
    return true
  }

  const sameFields = (one: object, other: object): boolean => {
    // Read in place: a copy of either costs more than all the comparing.
    const mine = one as Readonly<Record<string, unknown>>
    const theirs = other as Readonly<Record<string, unknown>>
    let count = 0
    let isFlat = true
    for (const name in mine) {
      const value = mine[name]
      // JSON has no undefined: a field that is undefined is not there.
      if (value === undefined) continue
      count += 1
      const its = theirs[name]
      if (typeof value === 'object' && value !== null) {
        isFlat = false
        // What it does not have itself is no field, such as `__proto__`; nothing it inherits is a text or a number.
        if (!same(value, its) || !Object.hasOwn(theirs, name)) return false
      } else if (value !== its) return false
    }
    let others = 0
    for (const name in theirs) if (theirs[name] !== undefined) others += 1
    if (count !== others) return false
    if (!isFlat || count > FLAT_MAX) known.set(one, other)
    return true
  }

  return same
}

// To look a pair up costs about as much as comparing so many fields.
const FLAT_MAX = 8
