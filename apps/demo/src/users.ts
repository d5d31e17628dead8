import { randomUUID } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import Database from 'better-sqlite3'
import { nameKey } from './names.ts'
import { Passwords } from './passwords.ts'

export interface User {
  id: string
  name: string
  /** Goes up with each change of the password. */
  passwordVersion: number
}

type Row = User & { password: string }

/** The people who signed up, in an SQLite file of their own: users are not sessions. */
export class Users {
  readonly #database: Database.Database
  readonly #passwords: Passwords
  readonly #insert: Database.Statement<[string, string, string, string, number]>
  readonly #byId: Database.Statement<[string], Row>
  readonly #byName: Database.Statement<[string], Row>
  readonly #changePassword: Database.Statement<[string, string, number]>

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
        password_version INTEGER NOT NULL DEFAULT 1,
        created_at INTEGER NOT NULL
      ) STRICT
    `)
    this.#insert = this.#database.prepare(
      'INSERT INTO people (id, name, name_key, password, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    )
    const columns = 'id, name, password, password_version AS passwordVersion'
    this.#byId = this.#database.prepare(`SELECT ${columns} FROM people WHERE id = ?`)
    this.#byName = this.#database.prepare(`SELECT ${columns} FROM people WHERE name_key = ?`)
    this.#changePassword = this.#database.prepare(
      'UPDATE people SET password = ?, password_version = password_version + 1 WHERE id = ? AND password_version = ?',
    )
  }

  /** Undefined when the name is taken. */
  async create(name: string, password: string): Promise<User | undefined> {
    const user = { id: randomUUID(), name, passwordVersion: 1 }
    const hash = await this.#passwords.hash(password)
    const { changes } = this.#insert.run(user.id, name, nameKey(name), hash, Date.now())
    return changes === 1 ? user : undefined
  }

  /** The user with this name and password. Takes the same time whether the name exists or not. */
  async logIn(name: string, password: string): Promise<User | undefined> {
    const found = this.#byName.get(nameKey(name))
    const matches = await this.#passwords.matches(password, found?.password ?? this.#passwords.nobodysHash)
    return found && matches ? userFrom(found) : undefined
  }

  find(id: string): User | undefined {
    const found = this.#byId.get(id)
    return found && userFrom(found)
  }

  /** The user with the new password; undefined when the present one is another, or was changed by somebody else meanwhile. */
  async changePassword({ id }: User, present: string, wanted: string): Promise<User | undefined> {
    const found = this.#byId.get(id)
    if (!found || !(await this.#passwords.matches(present, found.password))) return undefined
    const hash = await this.#passwords.hash(wanted)
    const { changes } = this.#changePassword.run(hash, id, found.passwordVersion)
    return changes === 1 ? this.find(id) : undefined
  }

  close(): void {
    this.#database.close()
  }
}

function userFrom({ password: _, ...user }: Row): User {
  return user
}
