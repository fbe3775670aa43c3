// Points of the plane in square cells, so that "who is near?" does not ask everyone.

export interface Point {
  readonly x: number
  readonly y: number
}

export interface Grid<P extends Point> {
  add(point: P): void
  /** Every point within `reach` (at most the cell size) of (x, y), in the order they were added to their cells. */
  near(x: number, y: number, reach: number): P[]
}

/** An empty grid; `cell` is its cell size and the farthest `near` can look, in the points' unit. */
export function createGrid<P extends Point>(cell: number): Grid<P> {
  const cells = new Map<number, P[]>()
  return {
    add(point) {
      const at = key(Math.floor(point.x / cell), Math.floor(point.y / cell))
      const list = cells.get(at)
      if (list === undefined) cells.set(at, [point])
      else list.push(point)
    },
    near(x, y, reach) {
      const found: P[] = []
      const column = Math.floor(x / cell)
      const row = Math.floor(y / cell)
      for (let r = row - 1; r <= row + 1; r++) {
        for (let c = column - 1; c <= column + 1; c++) {
          for (const point of cells.get(key(c, r)) ?? []) {
            if ((point.x - x) ** 2 + (point.y - y) ** 2 <= reach * reach) found.push(point)
          }
        }
      }
      return found
    },
  }
}

/** One number per cell. Room for ±30 000 cells each way: coordinates are pixels of one detector. */
function key(column: number, row: number): number {
  return (row + 30_000) * 65_536 + column + 30_000
}
