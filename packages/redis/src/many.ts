import {
  type Change,
  type ChangeAnswer,
  expiryField,
  recordFromText,
  recordToText,
  type StoredRecord,
} from '@session-stores/core'
import { type Connection, unprinted } from './driver.ts'
import { CHANGE_MANY, NUMBER_WIDTH, run } from './scripts.ts'

/** Many records by one command, from one server. */
export async function readMany(
  connection: Connection,
  prefix: string,
  keys: string[],
): Promise<Array<StoredRecord | 'unreadable' | undefined | Error>> {
  const names = keys.map((key) => prefix + key)
  const texts = await connection.send((redis) => redis.mget(...names))
  return texts.map((text) => {
    try {
      return text === null ? undefined : recordFromText(text)
    } catch (error) {
      return error as Error // of another release's layout
    }
  })
}

/**
 * Many changes on one server: those that compare and set go into one script, all others have a command of their own.
 * @param lone makes one change
 * @param together makes several, each of another key
 */
export async function changeMany(
  changes: Change[],
  lone: (change: Change) => Promise<ChangeAnswer>,
  together: (changes: Conditional[]) => Promise<Array<ChangeAnswer | Error>>,
): Promise<Array<ChangeAnswer | Error>> {
  const answers: Array<ChangeAnswer | Error> = []
  for (const run of runsOf(changes)) {
    const conditional = run.filter(isConditional)
    const joint =
      conditional.length > 1 ? together(conditional).catch((error) => conditional.map(() => error)) : undefined
    const each = run.map((change) => {
      if (joint === undefined || !isConditional(change)) return lone(change).catch((error) => error)
      const at = conditional.indexOf(change)
      return joint.then((all) => all[at])
    })
    answers.push(...(await Promise.all(each)))
  }
  return answers
}

type Conditional = Extract<Change, { verb: 'replace' | 'touch' }>

function isConditional(change: Change): change is Conditional {
  return change.verb === 'replace' || change.verb === 'touch'
}

/** The changes in runs without any key twice, whose order does not matter. */
function* runsOf(changes: Change[]): Generator<Change[]> {
  let from = 0
  const seen = new Set<string>()
  for (const [at, { key }] of changes.entries()) {
    if (seen.has(key)) {
      yield changes.slice(from, at)
      from = at
      seen.clear()
    }
    seen.add(key)
  }
  yield changes.slice(from)
}

/**
 * By one script, which is given all but the keys in one piece: the driver works on each argument for itself.
 * @param keysFor the name of the session, then perhaps that of its user's index
 */
export async function changeTogether(
  connection: Connection,
  changes: Conditional[],
  keysFor: (key: string, userId: string | undefined) => string[],
  ttlOf: (expiresAt: number) => number,
): Promise<Array<ChangeAnswer | Error>> {
  const keys: string[] = []
  let text = ''
  for (const change of changes) {
    const isTouch = change.verb === 'touch'
    const names = keysFor(change.key, isTouch ? change.userId : change.record.userId)
    keys.push(...names)
    text += `${isTouch ? 't' : 'r'}${names.length}${change.expected}`
    if (isTouch) {
      text += expiryField(change.expiresAt) + numberField(ttlOf(change.expiresAt))
    } else {
      const { record, version } = change
      const value = recordToText(record, version)
      text += version + numberField(ttlOf(record.expiresAt)) + numberField(Buffer.byteLength(value)) + value
    }
  }
  const answers = await connection.send((redis) =>
    run<Array<string | number>>(redis, CHANGE_MANY, keys, unprinted(text)),
  )
  return answers.map((answer) => {
    if (typeof answer === 'number') return answer === 1
    return answer.startsWith('!') ? connection.refusal(answer.slice(1)) : (answer as ChangeAnswer)
  })
}

function numberField(value: number): string {
  return `${value}`.padStart(NUMBER_WIDTH)
}
