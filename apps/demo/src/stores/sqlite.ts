import { join } from 'node:path'
import { SqliteStore } from '@session-stores/sqlite'
import Database from 'better-sqlite3'
import { opening } from '../config.ts'
import { type Opened, rowText, type Setup } from './opened.ts'

export function openSqlite({ dataFolder, options }: Setup): Opened {
  const path = join(dataFolder, 'sessions.sqlite')
  return {
    store: opening(dataFolder, () => new SqliteStore({ path, ...options })),
    where: 'in the file sessions.sqlite',
    atRest: async (handle) => {
      const database = new Database(path, { readonly: true })
      try {
        return rowText(database.prepare<[string], object>('SELECT * FROM sessions WHERE id = ?').get(handle))
      } finally {
        database.close()
      }
    },
    close: async () => {},
  }
}
