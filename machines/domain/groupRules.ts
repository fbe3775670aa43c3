/** The rules of one group. null means "as configured". */
export interface GroupRules {
  /** Close when so many different exposures have been accepted. */
  readonly expected: number | null
  /** Close so long after the first member, milliseconds. */
  readonly deadlineMs: number | null
  /** What to do when members failed or are missing. */
  readonly policy: GatherPolicy | null
  /** How long a closed group waits for its last members, milliseconds. */
  readonly patienceMs: number | null
  /** The pipeline that combines the group when it closes by itself. */
  readonly pipeline: string | null
}

/** partial: combine what succeeded. skip: combine nothing, quietly. fail: combine nothing, and say the group failed. */
export type GatherPolicy = 'partial' | 'skip' | 'fail'
