import { parseArgs } from 'node:util'
import { type Contestant, KINDS, type Kind } from './contestants/contestant.ts'

export const LEVELS = ['operations', 'requests', 'traffic', 'scale', 'features', 'correctness'] as const
export type Level = (typeof LEVELS)[number]

export interface Options {
  levels: readonly Level[]
  /** What a contestant's kind, or a part of its name, must be one of; empty for all. */
  stores: string[]
  quick: boolean
  /** Other checkouts whose builds take part. */
  builds: string[]
  /** Where the pages go; undefined for the usual place. */
  out: string | undefined
  help: boolean
}

export const USAGE = `npm run bench -- [options]

  --only <level or store>  ${LEVELS.join(', ')}; or ${KINDS.join(', ')};
                           or a part of a contestant's name. Can be repeated.
  --quick                  everything in less than two minutes, with figures that are worth little
  --build <folder>         our stores as they are built in another checkout take part too. Can be repeated.
  --out <folder>           where the pages are written

A run of whole levels writes docs/benchmarks.md and docs/comparison.md. What is quick, of some stores only, or of several
builds is written to .cache/bench.`

/** @throws Error that says what is wrong with the command line */
export function optionsFrom(args: string[], contestants: readonly Contestant[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string', multiple: true, default: [] },
      quick: { type: 'boolean', default: false },
      build: { type: 'string', multiple: true, default: [] },
      out: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  const levels = values.only.filter((each): each is Level => (LEVELS as readonly string[]).includes(each))
  const stores = values.only.filter((each) => !(LEVELS as readonly string[]).includes(each))
  for (const store of stores) {
    if (!contestants.some((each) => isMeant(each, store)))
      throw new Error(`--only ${store}: there is no such level or store`)
  }
  return {
    levels: levels.length > 0 ? levels : LEVELS,
    stores,
    quick: values.quick,
    builds: values.build,
    out: values.out,
    help: values.help,
  }
}

/** Whether `--only` with this word includes the contestant. */
export function isMeant({ kind, name }: Contestant, word: string): boolean {
  return (KINDS as readonly string[]).includes(word)
    ? kind === (word as Kind)
    : name.toLowerCase().includes(word.toLowerCase())
}
