/**
 * Colours for numbers: cividis, which reads the same with and without colour blindness and grows evenly brighter
 * (Nuñez, Anderton & Renslow 2018).
 */

const STOPS = [
  [0, 34, 78],
  [53, 69, 108],
  [102, 105, 112],
  [148, 142, 119],
  [200, 184, 102],
  [254, 232, 56],
] as const

/** From low (0) to high (1); what is beyond is as the end. */
export function colourAt(share: number): string {
  const place = Math.min(1, Math.max(0, share)) * (STOPS.length - 1)
  const below = STOPS[Math.floor(place)] ?? STOPS[0]
  const above = STOPS[Math.ceil(place)] ?? below
  const mixed = below.map((value, at) => Math.round(value + ((above[at] ?? value) - value) * (place % 1)))
  return `rgb(${mixed.join(', ')})`
}

/** What can be read on that colour. */
export function inkOn(share: number): string {
  return share < 0.46 ? '#ffffff' : '#101418'
}

export const GRADIENT = `linear-gradient(to right, ${STOPS.map(stop => `rgb(${stop.join(', ')})`).join(', ')})`
