import { execFileSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { findProgram } from '@session-stores/testing/unprivileged'
import Database from 'better-sqlite3'

/** What the matrix runs on, in words. */
export function versions(): string {
  const servers = [
    ['Redis', 'redis-server'],
    ['Postgres', 'postgres'],
    ['PgBouncer', 'pgbouncer'],
    ['Memcached', 'memcached'],
  ] as const
  const found = servers.map(([name, program]) => `${name} ${versionOf(program) ?? '(left out)'}`)
  const sqlite = new Database(':memory:')
  const { version } = sqlite.prepare('SELECT sqlite_version() AS version').get() as { version: string }
  sqlite.close()
  return `Node ${process.versions.node}, ${found.join(', ')} and SQLite ${version}, with ${availableParallelism()} processors`
}

function versionOf(name: string): string | undefined {
  const program = findProgram(name, ['/usr/lib/postgresql/*/bin', '/opt/homebrew/opt/postgresql@*/bin', '/usr/sbin'])
  if (program === undefined) return undefined
  return /\d+(\.\d+)+/.exec(execFileSync(program, ['--version'], { encoding: 'utf8' }))?.[0]
}
