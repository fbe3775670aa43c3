/**
 * Whether two pieces of plain data are the same after JSON. Pairs found the same are remembered, so that comparing the contexts of two worlds step by
 * step costs what has changed, not what there is: machines never change data in place.
 */
export function createSameness(): (one: unknown, other: unknown) => boolean {
  const known = new WeakMap<object, object>()

  const same = (one: unknown, other: unknown): boolean => {
    if (one === other) return true
    if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false
    if (known.get(one) === other) return true
    const isEqual = Array.isArray(one)
      ? Array.isArray(other) && one.length === other.length && one.every((item, index) => same(item, other[index]))
      : sameFields(one, other)
    if (isEqual) known.set(one, other)
    return isEqual
  }

  const sameFields = (one: object, other: object): boolean => {
    // Read in place: a copy of either costs more than all the comparing.
    const mine = one as Readonly<Record<string, unknown>>
    const theirs = other as Readonly<Record<string, unknown>>
    let fields = 0
    for (const name in mine) {
      const value = mine[name]
      // JSON has no undefined: a field that is undefined is not there.
      if (value === undefined) continue
      fields += 1
      // Last, because it is almost always so; what it does not have itself is no field, such as `constructor`.
      if (!same(value, theirs[name]) || !Object.hasOwn(theirs, name)) return false
    }
    for (const name in theirs) if (theirs[name] !== undefined) fields -= 1
    return fields === 0
  }

  return same
}
