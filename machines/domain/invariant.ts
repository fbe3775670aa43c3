/**
 * What must hold, holds. A broken invariant throws, naming what should have been impossible; the engine turns it into
 * FAULT.
 */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`invariant: ${message}`)
}
