// Runs under Node, Bun or Deno: the contract, on one store. Prints a line of JSON for each case that failed, and at last one
// with their number. runtime-worker.ts <kind of store> <address of its server>
import { closeSync, mkdtempSync, openSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryStore, SessionStore } from '@session-stores/core'
import { abilitiesOf, casesFor, type OpenStore } from '@session-stores/core/conformance'

const [kind = '', address = ''] = process.argv.slice(2)
/** Cases wait most of their time, and have nothing in common but the server. PGlite does one thing at a time. */
const AT_ONCE = kind === 'pglite' ? 1 : 4

const stores: Record<string, () => Promise<OpenStore>> = {
  async memory() {
    const data = new Map<string, MemoryStore>()
    return (name, options) => {
      const first = data.get(name) ?? new MemoryStore({ pruneInterval: false })
      data.set(name, first)
      return new SessionStore(first.backend, options)
    }
  },

  async sqlite() {
    const { DatabaseSync } = await import('node:sqlite')
    const { SqliteStore } = await import('@session-stores/sqlite')
    const folder = mkdtempSync(join(tmpdir(), 'session-stores-runtime-'))
    return (name, options) => {
      const path = join(folder, name)
      closeSync(openSync(path, 'a', 0o600))
      const database = new DatabaseSync(path)
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA busy_timeout = 100')
      return new SqliteStore({ database, ...options })
    }
  },

  async redis() {
    const { Redis } = await import('ioredis')
    return onRedis(new Redis(address))
  },

  async iovalkey() {
    const { Redis } = await import('iovalkey')
    return onRedis(new Redis(address) as never)
  },

  async memcached() {
    const { Client } = await import('memjs')
    const { MemcachedStore } = await import('@session-stores/memcached')
    const client = Client.create(address)
    return (prefix, options) => new MemcachedStore({ client, prefix, ...options })
  },

  postgres: () => onPostgres(address),

  async pglite() {
    const { PGlite } = await import('@electric-sql/pglite')
    const { PGLiteSocketServer } = await import('@electric-sql/pglite-socket')
    const server = new PGLiteSocketServer({ db: await PGlite.create(), port: Number(address), maxConnections: 100 })
    await server.start()
    return onPostgres(`postgres://postgres@127.0.0.1:${address}/postgres`, 1)
  },
}

async function onRedis(client: import('ioredis').Redis): Promise<OpenStore> {
  const { RedisStore } = await import('@session-stores/redis')
  return (prefix, options) => new RedisStore({ client, prefix, ...options })
}

async function onPostgres(connectionString: string, max = 10): Promise<OpenStore> {
  const { Pool } = await import('pg')
  const { PostgresStore } = await import('@session-stores/postgres')
  const pool = new Pool({ connectionString, max })
  pool.on('error', () => {}) // told by the call that fails
  return async (table, options) => {
    const store = new PostgresStore({ pool, table, ...options })
    await store.migrate()
    return store
  }
}

const open = await stores[kind]?.()
if (open === undefined) throw new Error(`no store ${kind}`)
const cases = casesFor(abilitiesOf(await open('abilities', {})))
const left = [...cases]
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const { rule, name } = next
      await next.run(open).catch((error: Error) => console.log(JSON.stringify({ rule, name, error: error.stack })))
    }
  }),
)
console.log(JSON.stringify({ cases: cases.length }))
process.exit()
