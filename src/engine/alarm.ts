import type { Timeline } from './timeline.ts'
import type { Timer } from './timers.ts'
import type { World } from './world.ts'

const silent = () => {}

/** Wakes for the next deadline of the world. Its firing goes through the inbox like everything else. */
export class Alarm {
  readonly #world: World
  readonly #timeline: Timeline
  readonly #fire: (due: Timer) => void
  #callOff: () => void = silent

  constructor(world: World, timeline: Timeline, fire: (due: Timer) => void) {
    this.#world = world
    this.#timeline = timeline
    this.#fire = fire
  }

  /** Asked after every entry: the next deadline may be another one now. */
  set(): void {
    this.off()
    const next = this.#world.nextDue()
    if (next) this.#callOff = this.#timeline.wake(next.due, this.#ring)
  }

  off(): void {
    this.#callOff()
    this.#callOff = silent
  }

  readonly #ring = (): void => {
    for (let due = this.#world.nextDue(); due && due.due <= this.#timeline.elapsed(); due = this.#world.nextDue()) {
      this.#world.takeDue()
      this.#fire(due)
    }
    this.set()
  }
}
