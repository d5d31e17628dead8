import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { dataFolder, removeFolder } from '@session-stores/testing'
import Database from 'better-sqlite3'
import { type Server, tableOf } from './server.ts'

/** A folder with a file for each contestant. */
export async function startSqlite(): Promise<Server> {
  const folder = dataFolder('bench-sqlite')
  const memory = new Database(':memory:')
  const { version } = memory.prepare('select sqlite_version() as version').get() as { version: string }
  memory.close()
  const run = (file: string, sql: string) => {
    const database = new Database(file, { timeout: 10_000 })
    try {
      database.exec(sql)
    } finally {
      database.close()
    }
  }
  let places = 0
  return {
    version: `SQLite ${version}`,
    port: 0,
    pid: undefined,
    placeFor: async () => {
      places += 1
      return { port: 0, database: '', file: join(folder, `${places}.sqlite`) }
    },
    clear: async (contestant, { file }) => run(file, `delete from ${tableOf(contestant).name}`),
    dump: async (_, { file }) =>
      filesOf(file)
        .map((each) => readFileSync(each, 'latin1'))
        .join('\n'),
    spoil: async (contestant, { file }) => {
      const { name, data } = tableOf(contestant)
      run(file, `update ${name} set ${data} = 'not json'`)
    },
    size: async (_, { file }) => filesOf(file).reduce((sum, each) => sum + statSync(each).size, 0),
    outages: [
      {
        name: 'locked',
        begin: async ({ file }) => {
          const other = new Database(file)
          other.exec('begin immediate')
          return () => {
            other.exec('rollback')
            other.close()
          }
        },
      },
    ],
    stop: async () => removeFolder(folder),
  }
}

function filesOf(file: string): string[] {
  return [file, `${file}-wal`].filter((each) => existsSync(each))
}
