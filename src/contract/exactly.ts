import type { z } from 'zod'

/**
 * Ties a schema to a type: it compiles only where the schema says exactly what the type says, no field more and none
 * less, however deep. Whether fields may be written to is not compared.
 */
export function exactly<T>() {
  return <S extends z.ZodType>(schema: S & Verdict<S, T>): S => schema
}

type Verdict<S extends z.ZodType, T> =
  Same<Plain<z.output<S>>, Plain<T>> extends true ? unknown : 'differs from the type'

type Plain<T> = T extends object ? { -readonly [K in keyof T]: Plain<T[K]> } : T

// The only test of identity TypeScript has; assignability would let optional fields pass.
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters
type Same<A, B> = (<X>() => X extends A ? 1 : 2) extends <X>() => X extends B ? 1 : 2 ? true : false
