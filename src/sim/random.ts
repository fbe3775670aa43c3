// Seeded random numbers for simulations: the same seed and purpose give the same numbers on every machine. Not for
// secrets.

export interface Random {
  /** 0 ≤ u < 1, 32 bits. */
  uniform(): number
  /** Mean 0, standard deviation 1. */
  normal(): number
  /** A Poisson number with that mean plus a normal one with that σ: photons and the noise of reading them. */
  poissonPlusNormal(mean: number, sigma: number): number
}

/** `purpose` separates streams, so that drawing more of one thing does not change another. */
export function createRandom(seed: number, purpose: string): Random {
  const uniform = sfc32(seed, purpose)
  let spare: number | null = null
  const normal = (): number => {
    if (spare !== null) {
      const held = spare
      spare = null
      return held
    }
    // Marsaglia's polar method: two numbers from one point inside the unit circle.
    for (;;) {
      const [u, v] = [2 * uniform() - 1, 2 * uniform() - 1]
      const s = u * u + v * v
      if (s >= 1 || s === 0) continue
      const scale = Math.sqrt((-2 * Math.log(s)) / s)
      spare = v * scale
      return u * scale
    }
  }
  const poisson = (mean: number): number => {
    // Knuth's product of uniforms: exact, and quick for the few photons it is used for.
    const limit = Math.exp(-mean)
    let count = -1
    for (let product = 1; product > limit; product *= uniform()) count++
    return count
  }
  return {
    uniform,
    normal,
    // Above 40 a Poisson distribution is a normal one to within a few per cent of its own σ, and two normals are one.
    poissonPlusNormal: (mean, sigma) =>
      mean > 40 ? mean + Math.sqrt(mean + sigma * sigma) * normal() : poisson(Math.max(0, mean)) + sigma * normal(),
  }
}

/** Small fast counter, 32 bit (Doty-Humphrey, PractRand; 128-bit state, passes BigCrush). */
function sfc32(seed: number, purpose: string): () => number {
  let a = Math.floor(seed) | 0
  let b = Math.floor(seed / 2 ** 32) | 0
  let c = 0
  for (const character of purpose) c = Math.imul(c ^ (character.codePointAt(0) ?? 0), 0x01000193)
  let counter = 1
  const next = (): number => {
    const t = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + t) | 0
    return (t >>> 0) / 2 ** 32
  }
  // Neighbouring seeds part only after some rounds.
  for (let round = 0; round < 16; round++) next()
  return next
}
