/** What must hold, holds. A broken invariant throws, naming what should have been impossible; the engine turns it into FAULT. */
export function invariant(condition, message) {
    if (!condition)
        throw new Error(`invariant: ${message}`);
}
/** Closes a union: the compiler refuses a switch that forgot a case, and the run refuses a value that should not exist. */
export function unreachable(value) {
    throw new Error(`invariant: unexpected ${JSON.stringify(value)}`);
}
