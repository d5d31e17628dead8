import { PostgresStore } from '@session-stores/postgres'
import { Pool } from 'pg'
import { ignore, type Opened, rowText, type Setup } from './opened.ts'
import { serverFor } from './own-server.ts'

export async function openPostgres({ env, options }: Setup): Promise<Opened> {
  const { url, where, server } = await serverFor('postgres', env)
  const pool = new Pool({ connectionString: url })
  pool.on('error', ignore)
  return {
    store: new PostgresStore({ pool, migrateOnFirstUse: true, ...options }),
    where,
    atRest: async (handle) => {
      // As text, or JSON would be read into an object
      const query = 'select id, version, user_id, created_at, expires_at, data::text from sessions where id = $1'
      const { rows } = await pool.query(query, [Buffer.from(handle, 'base64url')])
      return rowText(rows[0])
    },
    server,
    close: async () => {
      await pool.end()
      await server?.stop()
    },
  }
}
