// Where the demo speaks: a live page on a terminal, plain lines where there is none, or lines of JSON for a program.
// One of the three, with the same words.

import { shown, shownJson } from '../jobFiles/printable.ts'
import type { Model } from './model.ts'
import type { StoryLine } from './story.ts'
import { type Frame, render, told } from './render.ts'
import type { Summary } from './report.ts'
import { openScreen } from './screen.ts'
import { colours, type Paint, plain } from './text.ts'
import type { WireMessage } from './wire.ts'

export interface Output {
  start(model: () => Model): void
  /** Something was heard; `lines` are new in the story. */
  heard(heard: WireMessage, lines: readonly StoryLine[]): void
  /** The end: what to leave behind, or null where there is nothing to tell. Further calls do nothing. */
  close(end: End | null): void
}

export interface End {
  readonly summary: Summary
  readonly lines: (frame: Frame) => readonly string[]
}

export function openOutput({ json, began }: { json: boolean; began: number }): Output {
  if (json) return jsonLines()
  return process.stdout.isTTY ? livePage() : plainLines(began)
}

function jsonLines(): Output {
  const say = (value: object): unknown => process.stdout.write(`${shownJson(value)}\n`)
  let open = true
  return {
    start() {},
    heard(heard) {
      if (open && heard.type === 'step') say(heard.step)
    },
    close(end) {
      if (open && end) say(end.summary)
      open = false
    },
  }
}

/** Wide enough for any sentence: who reads lines in a log does not want them cut. */
const PLAIN_WIDTH = 400

function plainLines(began: number): Output {
  const say = (line: string): unknown => process.stdout.write(`${shown(line.trimEnd())}\n`)
  const frame = (): Frame => ({ now: Date.now(), width: PLAIN_WIDTH, paint: plain })
  let open = true
  return {
    start: model => model().story.forEach(line => say(told(line, began, frame()))),
    heard(_, lines) {
      if (open) for (const line of lines) say(told(line, began, frame()))
    },
    close(end) {
      if (open && end) for (const line of ['', ...end.lines(frame())]) say(line)
      open = false
    },
  }
}

function livePage(): Output {
  const screen = openScreen(process.stdout)
  const noColour = process.env['NO_COLOR']
  const paint: Paint = noColour !== undefined && noColour !== '' ? plain : colours
  const frame = (width: number): Frame => ({ now: Date.now(), width, paint })
  return {
    start: model => screen.start(columns => render(model(), frame(columns))),
    heard() {},
    close: end => screen.close(end?.lines(frame(process.stdout.columns)) ?? null),
  }
}
