import { kindOf } from './errors.ts'

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

/** @throws TypeError naming the option, what it wants and what it got */
export function namesFor(schema: string | undefined, table: string): Names {
  checkName('table', table, MAX_BYTES - Math.max(...Object.values(SUFFIXES).map((suffix) => suffix.length)))
  if (schema !== undefined) checkName('schema', schema, MAX_BYTES)
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

function checkName(option: string, name: unknown, maxBytes: number): void {
  if (typeof name === 'string' && name !== '' && !name.includes('\0') && Buffer.byteLength(name) <= maxBytes) return
  throw new TypeError(`${option} must be a name of 1 to ${maxBytes} bytes, without NUL; got ${kindOf(name)}`)
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
