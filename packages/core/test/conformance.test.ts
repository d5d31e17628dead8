import { readFileSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { cases, type OpenStore } from '../src/conformance/index.ts'
import { layer } from '../src/conformance/layers.ts'
import { SessionStore } from '../src/index.ts'
import { broken } from './broken/index.ts'
import { failedBy } from './broken/noticed.ts'
import { byName, newServer } from './broken/server.ts'

/** A line of docs/contract.md: the number of a rule, and the name of its case. */
const RULE = /^- \*\*([BS]\d+)\*\* (.+)$/gm

describe('docs/contract.md', () => {
  const rules = [...readFileSync(new URL('../../../docs/contract.md', import.meta.url), 'utf8').matchAll(RULE)].map(
    ([, rule, name]) => ({ rule, name }),
  )

  test('every rule names the case that proves it, and every case its rule', () => {
    expect(rules).toEqual(cases.map(({ rule, name }) => ({ rule, name })))
  })

  test('rule numbers and names are given once', () => {
    expect(new Set(rules.map(({ rule }) => rule)).size).toBe(rules.length)
    expect(new Set(rules.map(({ name }) => name)).size).toBe(rules.length)
  })
})

describe.concurrent('a sound store passes', () => {
  const servers = byName(newServer)
  const aTurnLater = layer(async ({ pass }) => {
    await nextTurn()
    const answer = await pass()
    await nextTurn()
    return answer
  })
  const sound: Record<string, OpenStore> = {
    'over a backend that answers at once': (name, options) => new SessionStore(servers(name), options),
    'over one that answers later': (name, options) => new SessionStore(aTurnLater(servers(name)), options),
    'over one with the required verbs alone': (name, options) => {
      const { read, write, replace, touch, remove } = servers(name)
      return new SessionStore({ name: 'plain', read, write, replace, touch, remove }, options)
    },
  }
  for (const [where, openStore] of Object.entries(sound)) {
    test(where, async () => expect(await failedBy(openStore)).toEqual([]))
  }
})

test('every case can fail: some broken store is noticed by it', () => {
  const noticing = new Set(broken.flatMap(({ noticedBy }) => noticedBy))
  expect(cases.map(({ rule }) => rule).filter((rule) => !noticing.has(rule))).toEqual([])
})
