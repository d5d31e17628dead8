import { type Change, type ChangeAnswer, type StoredRecord, TryAgain } from '@session-stores/core'
import { arrayOf, type PostgresResult, type Values } from './driver.ts'
import { isOfTheValues } from './errors.ts'
import { idOf, recordOf, valuesOf } from './rows.ts'
import type { Statements } from './statements.ts'

/** Sends a statement. */
export type Send = (statement: keyof Statements, values: Values) => Promise<PostgresResult>

type Verb = Change['verb']
type Answers = Array<ChangeAnswer | Error>

const HELD = new Error('another transaction holds the row of the session')

/** What the answer of the statement for many means for each verb. */
const MEANING: Record<Verb, Record<string, ChangeAnswer>> = {
  write: { done: undefined },
  replace: { done: 'replaced', conflict: 'conflict', missing: 'missing' },
  touch: { done: true, conflict: false, missing: false },
  remove: { done: true, missing: false },
}

/** The records under these keys, of which one may come twice. */
export async function readMany(keys: string[], send: Send): Promise<(StoredRecord | undefined)[]> {
  const ids = keys.map(idOf)
  const { rows } = await send('readMany', [arrayOf(ids)])
  const byId = new Map(rows.map(([hex, ...row]) => [`\\x${hex}`, row]))
  return ids.map((id) => {
    const row = byId.get(id)
    return row && { record: recordOf(row), version: row[4] as string }
  })
}

/** Makes the changes, at once those of one verb, and those of other verbs meanwhile. Changes of one key come one after the other. */
export async function changeMany(changes: Change[], send: Send): Promise<Answers> {
  const answers: Answers = []
  let left = [...changes.entries()]
  while (left.length > 0) {
    const byVerb = new Map<Verb, [number, Change][]>()
    const keys = new Set<string>()
    const later: typeof left = []
    for (const entry of left) {
      const { key, verb } = entry[1]
      if (keys.has(key)) {
        later.push(entry)
        continue
      }
      keys.add(key)
      const group = byVerb.get(verb)
      if (group) group.push(entry)
      else byVerb.set(verb, [entry])
    }
    await Promise.all(
      [...byVerb].map(async ([verb, group]) => {
        const found = await changeBy(
          verb,
          group.map(([, change]) => change),
          send,
        )
        for (const [n, [place]] of group.entries()) answers[place] = found[n]
      }),
    )
    left = later
  }
  return answers
}

/** Never rejects: what the others of the batch do is their own affair. */
async function changeBy(verb: Verb, changes: Change[], send: Send): Promise<Answers> {
  try {
    const { rows } = await send(`${verb}Many`, columnsOf(changes.map(parametersOf)))
    return rows.map(([state]) =>
      state !== null && state !== undefined && state in MEANING[verb] ? MEANING[verb][state] : heldByOthers(),
    )
  } catch (error) {
    // Which record it was, the server does not say: each is sent by itself.
    const each = isOfTheValues(error) ? new TryAgain(error, { alone: true }) : (error as Error)
    return changes.map(() => each)
  }
}

function heldByOthers(): TryAgain {
  return new TryAgain(HELD, { alone: true })
}

/** In the order of the statement's columns. */
function parametersOf(change: Change): Values {
  const id = idOf(change.key)
  switch (change.verb) {
    case 'write':
      return [id, ...valuesOf(change.record), change.version]
    case 'replace':
      return [id, ...valuesOf(change.record), change.version, change.expected]
    case 'touch':
      return [id, `${change.expiresAt}`, change.expected]
    case 'remove':
      return [id]
  }
}

/** An array for each column in place of values for each row. */
function columnsOf(rows: Values[]): Values {
  return (rows[0] ?? []).map((_, column) => arrayOf(rows.map((row) => row[column] ?? null)))
}
