/** A mistake of whoever started us: said in one sentence, without a stack. */
export class UserError extends Error {}
