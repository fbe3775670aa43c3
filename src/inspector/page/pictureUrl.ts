/**
 * Where the gateway has a picture's file. The attempt is in it only so that a browser fetches again what a retry has
 * written anew.
 */
import type { Picture } from '../../night/pictures.ts'
import { fileUrl } from './parts.tsx'

export function pictureUrl({ jobId, path, attempt }: Picture): string {
  return `${fileUrl(jobId, path)}${attempt > 1 ? `?attempt=${attempt}` : ''}`
}
