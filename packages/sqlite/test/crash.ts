/** What the process that gets killed does, one after the other. Each step is printed when it was acknowledged. */
export interface Step {
  does: 'save' | 'end'
  n: number
}

/** Saves sessions under these ids in turn; every seventh is ended right after. */
export const ids = Array.from({ length: 20 }, (_, n) => `session-${n}`)

export function stepAfter({ does, n }: Step): Step {
  return does === 'save' && n % 7 === 0 ? { does: 'end', n } : { does: 'save', n: n + 1 }
}

export function idOf({ n }: Step): string {
  return ids[n % ids.length] as string
}

/** A session that shows whether it is whole: several pages long, and of one piece with its number. */
export function contentOf(n: number): { n: number; text: string } {
  return { n, text: `${n},`.repeat(1000 + (n % 1000)) }
}

/** For each id, what its session must hold after these steps; null for none. */
export function contentsAfter(steps: Step[]): Array<ReturnType<typeof contentOf> | null> {
  const saved = new Map(steps.map((step) => [idOf(step), step]))
  return ids.map((id) => {
    const step = saved.get(id)
    return step?.does === 'save' ? contentOf(step.n) : null
  })
}
