import { randomUUID } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import Database from 'better-sqlite3'
import { nameKey } from './names.ts'
import { Passwords } from './passwords.ts'

export interface User {
  id: string
  name: string
}

/** The people who signed up, in an SQLite file of their own: users are not sessions. */
export class Users {
  readonly #database: Database.Database
  readonly #passwords: Passwords
  readonly #insert: Database.Statement<[string, string, string, string, number]>
  readonly #byId: Database.Statement<[string], User>
  readonly #byName: Database.Statement<[string], User & { password: string }>

  constructor(path: string, passwords = new Passwords()) {
    this.#passwords = passwords
    // A new file is this user's only. The mode of one that is there is its owner's business.
    closeSync(openSync(path, 'a', 0o600))
    this.#database = new Database(path, { timeout: 500 })
    this.#database.pragma('journal_mode = WAL')
    this.#database.exec(`
      CREATE TABLE IF NOT EXISTS people (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        name_key TEXT NOT NULL UNIQUE, -- what names are compared by
        password TEXT NOT NULL,
        created_at INTEGER NOT NULL
      ) STRICT
    `)
    this.#insert = this.#database.prepare(
      'INSERT INTO people (id, name, name_key, password, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    )
    this.#byId = this.#database.prepare('SELECT id, name FROM people WHERE id = ?')
    this.#byName = this.#database.prepare('SELECT id, name, password FROM people WHERE name_key = ?')
  }

  /** Undefined when the name is taken. */
  async create(name: string, password: string): Promise<User | undefined> {
    const user = { id: randomUUID(), name }
    const hash = await this.#passwords.hash(password)
    const { changes } = this.#insert.run(user.id, name, nameKey(name), hash, Date.now())
    return changes === 1 ? user : undefined
  }

  /** The user with this name and password. Takes the same time whether the name exists or not. */
  async logIn(name: string, password: string): Promise<User | undefined> {
    const found = this.#byName.get(nameKey(name))
    const matches = await this.#passwords.matches(password, found?.password ?? this.#passwords.nobodysHash)
    return found && matches ? { id: found.id, name: found.name } : undefined
  }

  find(id: string): User | undefined {
    return this.#byId.get(id)
  }

  close(): void {
    this.#database.close()
  }
}
