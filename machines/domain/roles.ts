/** From the least to the most; what each may send is in access.ts. */
export const ROLES = ['viewer', 'script', 'operator', 'admin'] as const

export type Role = (typeof ROLES)[number]
