import { OcpsError } from '../client/errors.ts'

/**
 * Waits so many seconds at most; then OcpsError TIMEOUT with the sentence. Without a time it waits for ever, as was
 * asked.
 */
export async function inTime<T>(work: Promise<T>, timeoutS: number | undefined, sentence: () => string): Promise<T> {
  if (timeoutS === undefined) return work
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new OcpsError('TIMEOUT', sentence())), timeoutS * 1_000)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
    // Whoever loses the race ends unheard.
    work.catch(() => {})
  }
}
