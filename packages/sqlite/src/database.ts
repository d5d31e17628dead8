/** What the store uses of a better-sqlite3 `Database`: any version or build that has this will do. */
export interface SqliteDatabase {
  readonly name: string
  readonly open: boolean
  readonly readonly: boolean
  readonly inTransaction: boolean
  prepare(sql: string): SqliteStatement
  pragma(source: string, options?: { simple?: boolean }): unknown
  exec(sql: string): unknown
  close(): unknown
}

export interface SqliteStatement {
  run(...values: unknown[]): { changes: number }
  get(...values: unknown[]): unknown
  all(...values: unknown[]): unknown[]
  safeIntegers(on: boolean): unknown
}
