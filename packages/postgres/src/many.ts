import { type Change, type ChangeAnswer, type StoredRecord, TryAgain } from '@session-stores/core'
import { arrayOf, type PostgresResult, type Values } from './driver.ts'
import { isOfTheValues } from './errors.ts'
import { idOf, recordOf, valuesOf } from './rows.ts'
import type { Statements } from './statements.ts'

/** Sends a statement. */
export type Send = (statement: keyof Statements, values: Values) => Promise<PostgresResult>

type Verb = Change['verb']
type Answers = Array<ChangeAnswer | Error>
/** A change and its place among all. */
type Placed = { place: number; change: Change }

const VERBS: Verb[] = ['write', 'replace', 'touch', 'remove']

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

/** Makes the changes: those of one verb in one statement, and each verb's at the same time. Those of one key follow each other. */
export async function changeMany(changes: Change[], send: Send): Promise<Answers> {
  const answers: Answers = []
  for (const round of roundsOf(changes)) {
    await Promise.all(
      VERBS.map(async (verb) => {
        const group = round.filter(({ change }) => change.verb === verb)
        if (group.length === 0) return
        const changed = await changeBy(verb, group.map(changeOf), send)
        for (const [n, { place }] of group.entries()) answers[place] = changed[n]
      }),
    )
  }
  return answers
}

/** In each round a key comes once. */
function roundsOf(changes: Change[]): Placed[][] {
  const rounds: Placed[][] = []
  const timesSeen = new Map<string, number>()
  for (const [place, change] of changes.entries()) {
    const n = timesSeen.get(change.key) ?? 0
    timesSeen.set(change.key, n + 1)
    rounds[n] ??= []
    rounds[n].push({ place, change })
  }
  return rounds
}

function changeOf({ change }: Placed): Change {
  return change
}

/** Never rejects: what the others of the batch do is their own affair. */
async function changeBy(verb: Verb, changes: Change[], send: Send): Promise<Answers> {
  try {
    const { rows } = await send(`${verb}Many`, columnsOf(changes.map(parametersOf)))
    const meaning = MEANING[verb]
    return rows.map(([state]) => (state && state in meaning ? meaning[state] : heldByOthers()))
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
