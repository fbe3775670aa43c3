/**
 * What is said must fit into one message of the server, or nobody hears it: a result with thousands of members or
 * datasets is cut, and says so. Which fields there are is not known here.
 */

// The headers of a message and the subject it travels under count with its body.
const ENVELOPE_BYTES = 4_096

/**
 * The body as JSON of at most `payloadMax` bytes with its envelope. Where it is larger the largest lists are shortened,
 * and `cut` holds how long each was.
 */
export function fitting(body: object, payloadMax: number): string {
  const bytesMax = payloadMax - ENVELOPE_BYTES
  let text = JSON.stringify(body)
  if (fits(text, bytesMax)) return text
  const shown: Record<string, unknown> = { ...body }
  const cut: Record<string, number> = {}
  while (!fits(text, bytesMax)) {
    const largest = largestList(shown)
    if (largest === null) return text
    const [key, list] = largest
    cut[key] ??= list.length
    shown[key] = list.slice(0, Math.floor(list.length / 2))
    text = JSON.stringify({ ...shown, cut })
  }
  return text
}

function fits(text: string, bytesMax: number): boolean {
  // A character is at most three bytes a unit: most messages need not be counted.
  return text.length * 3 <= bytesMax || Buffer.byteLength(text) <= bytesMax
}

function largestList(body: Readonly<Record<string, unknown>>): readonly [string, readonly unknown[]] | null {
  const lists = Object.entries(body).filter(
    (one): one is [string, unknown[]] => Array.isArray(one[1]) && one[1].length > 0,
  )
  const sized = lists.map(([key, list]) => ({ key, list, size: JSON.stringify(list).length }))
  const [largest] = sized.sort((one, other) => other.size - one.size)
  return largest ? [largest.key, largest.list] : null
}
