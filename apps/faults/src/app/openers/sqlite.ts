import { SqliteStore } from '@session-stores/sqlite'
import type { Opener } from '../opener.ts'

export const open: Opener<{ path: string }>['open'] = async ({ path }, options) => {
  return { store: new SqliteStore({ path, ...options }), close: () => {} }
}
