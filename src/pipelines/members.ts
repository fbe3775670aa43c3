// What a gather job combines: the members of a group, settled or never processed by themselves, as the executor writes
// them to members.json.

import { readFileSync } from 'node:fs'
import { fieldsOf } from './catalogue.ts'
import { PipelineFailure, reasonOf } from './failure.ts'

/** A member that may go into a stack. */
export interface Member {
  /** For messages: obsid, and the detector where there is one. */
  readonly name: string
  /** '' for a frame that was never processed by itself. */
  readonly jobId: string
  /** Absolute path of the frame. */
  readonly input: string
  /** Absolute path of its star catalogue; null for a frame that was never processed by itself. */
  readonly catalogue: string | null
}

export interface Members {
  /** Where the list was read. */
  readonly path: string
  readonly group: string
  readonly usable: readonly Member[]
  /** Everyone else, each with the reason. */
  readonly unusable: readonly { readonly name: string; readonly why: string }[]
}

/** Reads members.json. Throws PipelineFailure (exit 3) where it is missing or not a list of members. */
export function readMembers(path: string): Members {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new PipelineFailure(`${path}: the group's members cannot be read: ${reasonOf(error)}.`)
  }
  const { group, members } = fieldsOf(value)
  if (!Array.isArray(members))
    throw new PipelineFailure(`${path}: expected an array "members", found ${typeof members}.`)
  const usable = new Map<string, Member>()
  const unusable: { name: string; why: string }[] = []
  for (const [index, member] of members.entries()) {
    const read = readMember(member, index)
    // Several pipelines may have run over one frame; it is stacked once.
    if ('why' in read) unusable.push(read)
    else if (!usable.has(read.input)) usable.set(read.input, read)
  }
  return { path, group: textOf(group), usable: [...usable.values()], unusable }
}

function readMember(value: unknown, index: number): Member | { name: string; why: string } {
  const { obsid, detector, jobId, outcome, input, datasets } = fieldsOf(value)
  const name = `${textOf(obsid) || `member ${index}`}${typeof detector === 'number' ? `/${detector}` : ''}`
  const { catalogue } = fieldsOf(datasets)
  const isRaw = jobId === null && outcome === null
  if (outcome !== 'succeeded' && !isRaw) return { name, why: textOf(outcome) || 'no outcome' }
  if (typeof input !== 'string' || input === '') return { name, why: 'no input frame' }
  if (isRaw) return { name, jobId: '', input, catalogue: null }
  if (typeof catalogue !== 'string') return { name, why: 'no star catalogue' }
  return { name, jobId: textOf(jobId), input, catalogue }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
