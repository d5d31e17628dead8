import { randomUUID } from 'node:crypto'
import { chmodSync } from 'node:fs'
import Database from 'better-sqlite3'
import { hashPassword, nobodysHash, passwordMatches } from './passwords.ts'

export interface User {
  id: string
  name: string
}

/** The people who signed up, in an SQLite file of their own: users are not sessions. */
export class Users {
  readonly #database: Database.Database
  readonly #insert: Database.Statement<[string, string, string, number]>
  readonly #byId: Database.Statement<[string], User>
  readonly #byName: Database.Statement<[string], User & { password: string }>

  constructor(path: string) {
    this.#database = new Database(path, { timeout: 500 })
    chmodSync(path, 0o600)
    this.#database.pragma('journal_mode = WAL')
    this.#database.exec(`
      CREATE TABLE IF NOT EXISTS users (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE COLLATE NOCASE,
        password TEXT NOT NULL,
        created_at INTEGER NOT NULL
      ) STRICT
    `)
    this.#insert = this.#database.prepare(
      'INSERT INTO users (id, name, password, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
    )
    this.#byId = this.#database.prepare('SELECT id, name FROM users WHERE id = ?')
    this.#byName = this.#database.prepare('SELECT id, name, password FROM users WHERE name = ?')
  }

  /** Undefined when the name is taken. */
  async create(name: string, password: string): Promise<User | undefined> {
    const user = { id: randomUUID(), name }
    const hash = await hashPassword(password)
    const { changes } = this.#insert.run(user.id, user.name, hash, Date.now())
    return changes === 1 ? user : undefined
  }

  /** The user with this name and password. Takes the same time whether the name exists or not. */
  async logIn(name: string, password: string): Promise<User | undefined> {
    const found = this.#byName.get(name)
    const matches = await passwordMatches(password, found?.password ?? nobodysHash)
    return found && matches ? { id: found.id, name: found.name } : undefined
  }

  find(id: string): User | undefined {
    return this.#byId.get(id)
  }

  close(): void {
    this.#database.close()
  }
}
