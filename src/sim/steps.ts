// What the observing script says of itself: one step per line of JSON for a program that reads along, or one sentence
// for a person.

import { z } from 'zod'

const value = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity']), z.null()])

export const stepSchema = z.discriminatedUnion('step', [
  z.object({ step: z.literal('enabled'), visited: z.array(z.string()) }),
  z.object({ step: z.literal('group'), group: z.string(), exposures: z.int(), exposureTime: z.number() }),
  z.object({ step: z.literal('exposing'), obsid: z.string() }),
  z.object({ step: z.literal('ingested'), obsid: z.string() }),
  z.object({
    step: z.literal('accepted'),
    obsid: z.string(),
    pipeline: z.string(),
    jobId: z.string(),
    milliseconds: z.number(),
  }),
  z.object({ step: z.literal('metric'), obsid: z.string(), metric: z.string(), value, unit: z.string() }),
  z.object({ step: z.literal('result'), obsid: z.string(), outcome: z.string(), message: z.string() }),
  z.object({ step: z.literal('closing'), group: z.string(), pipeline: z.string() }),
  z.object({
    step: z.literal('combined'),
    group: z.string(),
    outcome: z.string(),
    message: z.string(),
    depthGain: value.describe('mag'),
  }),
])

export type Step = z.infer<typeof stepSchema>

/** The step as a sentence without a subject: the script is understood. */
export function sentence(step: Step): string {
  switch (step.step) {
    case 'enabled':
      return step.visited.length > 1 ? `brings OCPS to ENABLED (${step.visited.join(' → ')})` : 'finds OCPS ENABLED'
    case 'group':
      return `begins group ${step.group}: ${step.exposures} × ${step.exposureTime} s`
    case 'exposing':
      return `takes ${step.obsid}`
    case 'ingested':
      return `hears that ${step.obsid} is in the OODS`
    case 'accepted':
      return `asks for ${step.pipeline} of ${step.obsid}: accepted in ${Math.max(1, Math.round(step.milliseconds))} ms`
    case 'metric':
      return `${step.obsid}  ${step.metric} ${shown(step.value)}${step.unit === '' ? '' : ` ${step.unit}`}`
    case 'result':
      return `${step.obsid}  ${step.outcome}${step.outcome === 'succeeded' ? '' : `: ${step.message}`}`
    case 'closing':
      return `closes the group: all its exposures into one ${step.pipeline}`
    case 'combined':
      return `group ${step.outcome}${typeof step.depthGain === 'number' ? `, ${step.depthGain.toFixed(2)} mag deeper than one exposure` : `: ${step.message}`}`
  }
}

/** Four digits are what a person takes in at a glance. */
function shown(number: number | string | null): string {
  if (number === null) return 'not measured'
  return typeof number === 'string' ? number : String(Number(number.toPrecision(4)))
}
