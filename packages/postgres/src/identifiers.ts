import { type OptionRule, wrongOption } from '@session-stores/core'

/** Names in SQL, quoted once. */
export interface Names {
  /** The table, and the schema if it is known. For error messages. */
  readonly plain: string
  /** Undefined while it is left to the `search_path`. */
  readonly schema: string | undefined
  readonly table: string
  /** Which migrations the table has had. */
  readonly migrations: string
  /** Index names have no schema: they are made in their table's. */
  readonly slotIndex: string
  readonly userIndex: string
}

/** Postgres cuts longer names off without a word, and then two tables may be one. */
const MAX_BYTES = 63
const SUFFIXES = { migrations: '_migrations', slotIndex: '_slot_idx', userIndex: '_user_idx' }

type Option = 'schema' | 'table'

/** What a name must be. The table's leaves room for what is added to it. */
export function nameRule(option: Option): OptionRule {
  const added = option === 'table' ? Math.max(...Object.values(SUFFIXES).map((suffix) => suffix.length)) : 0
  const maxBytes = MAX_BYTES - added
  return {
    wants: `a name of 1 to ${maxBytes} bytes, without NUL`,
    isRight: (name) =>
      typeof name === 'string' && name !== '' && !name.includes('\0') && Buffer.byteLength(name) <= maxBytes,
  }
}

/** @throws TypeError naming the option, what it wants and what it got */
export function namesFor(schema: string | undefined, table: string): Names {
  check('table', table)
  if (schema !== undefined) check('schema', schema)
  const prefix = schema === undefined ? '' : `${quoted(schema)}.`
  return {
    plain: schema === undefined ? table : `${schema}.${table}`,
    schema: schema === undefined ? undefined : quoted(schema),
    table: `${prefix}${quoted(table)}`,
    migrations: `${prefix}${quoted(`${table}${SUFFIXES.migrations}`)}`,
    slotIndex: quoted(`${table}${SUFFIXES.slotIndex}`),
    userIndex: quoted(`${table}${SUFFIXES.userIndex}`),
  }
}

function check(option: Option, name: unknown): void {
  const { wants, isRight } = nameRule(option)
  if (!isRight(name)) throw wrongOption(option, wants, name)
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
