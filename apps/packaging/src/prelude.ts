/**
 * What a fragment of code on a page takes for granted, as a declaration. A whole program imports all it needs, so none of
 * these is added to one.
 */
const known: Record<string, string> = {
  Database: `import Database from 'better-sqlite3'`,
  MemcachedStore: `import { MemcachedStore } from '@session-stores/memcached'`,
  MemoryStore: `import { MemoryStore } from '@session-stores/core'`,
  PostgresStore: `import { PostgresStore } from '@session-stores/postgres'`,
  Redis: `import { Redis } from 'ioredis'`,
  RedisStore: `import { RedisStore } from '@session-stores/redis'`,
  SqliteStore: `import { SqliteStore } from '@session-stores/sqlite'`,
  app: `declare const app: import('fastify').FastifyInstance`,
  client: `declare const client: CLIENT`,
  fastifyCookie: `import fastifyCookie from '@fastify/cookie'`,
  fastifySession: `import fastifySession from '@fastify/session'`,
  handle: `declare const handle: string`,
  metrics: `declare const metrics: { timing(name: string, ms: number): void }`,
  oldStore: `declare const oldStore: import('@session-stores/core').OldStore`,
  pool: `declare const pool: import('pg').Pool`,
  reply: `declare const reply: import('fastify').FastifyReply`,
  request: `declare const request: import('fastify').FastifyRequest`,
  secret: `declare const secret: string`,
  sessionKey: `declare const sessionKey: string`,
  sessions: `import { sessions } from '@session-stores/fastify'`,
  store: `declare const store: import('@session-stores/core').SessionStore`,
}

/** The driver's client, by the words of the page's path. */
const clients: Record<string, string> = {
  redis: `import('ioredis').Redis`,
  memcached: `import('memjs').Client`,
}

/** The code with the declarations before it that it needs to compile. */
export function withPrelude(code: string, page: string): string {
  const client = Object.entries(clients).find(([word]) => page.includes(word))?.[1] ?? 'unknown'
  const bare = code.replace(/'[^'\n]*'|\/\/.*$|\/\*[\s\S]*?\*\//gm, "''")
  const missing = Object.keys(known).filter((name) => uses(bare, name) && !declares(bare, name))
  const lines = missing.map((name) => known[name]?.replace('CLIENT', client))
  return [...lines, code, 'export {}', ''].join('\n')
}

/** Whether the name stands there for itself: not as a property, nor as a key. */
function uses(code: string, name: string): boolean {
  return new RegExp(`(?<![.\\w$-])${name}(?![\\w$]|\\s*\\??:(?!:))`).test(code)
}

function declares(code: string, name: string): boolean {
  const statement = new RegExp(`\\b(?:const|let|var|class|function)\\s+(?:\\{[^}]*)?\\b${name}\\b`)
  const imported = new RegExp(`\\bimport\\b[^'"]*\\b${name}\\b[^'"]*\\bfrom\\b`)
  const parameter = new RegExp(`\\(([^()]*[,{(]\\s*)?${name}\\b[^()]*\\)\\s*(?::[^=]+)?=>`)
  return [statement, imported, parameter].some((pattern) => pattern.test(code))
}
