import { sessions } from '@session-stores/fastify'
import { SqliteStore } from '@session-stores/sqlite'
import type { FastifyInstance } from 'fastify'

/**
 * @param environment `SESSION_SECRETS` signs cookies, `SESSION_KEYS` seals what is stored: each a list, newest first, with
 * commas between
 */
export function addSessions(app: FastifyInstance, path: string, environment: NodeJS.ProcessEnv = process.env): void {
  const { SESSION_SECRETS = '', SESSION_KEYS = '' } = environment
  const store = new SqliteStore({ path, encryptionKeys: SESSION_KEYS.split(',') })
  app.register(sessions, { store, secret: SESSION_SECRETS.split(',') })
}
