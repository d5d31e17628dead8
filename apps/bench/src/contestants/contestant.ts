/** A session store as `@fastify/session` calls it. */
export interface Store {
  get(id: string, callback: (error: unknown, session?: StoredSession | null) => void): unknown
  set(id: string, session: StoredSession, callback: (error?: unknown) => void): unknown
  destroy(id: string, callback: (error?: unknown) => void): unknown
}

export interface StoredSession {
  cookie: unknown
  [key: string]: unknown
}

/** What sessions are kept in. */
export const KINDS = ['memory', 'redis', 'memcached', 'postgres', 'sqlite'] as const
export type Kind = (typeof KINDS)[number]

/**
 * - `ours`: a store of this repository
 * - `peer`: another package that does the same job
 * - `driver`: the least code over the driver itself, which a store cannot be cheaper than without asking it less
 * - `reference`: what the plugin has built in, and what needs no store at all
 */
export type Role = 'ours' | 'peer' | 'driver' | 'reference'

/** Something to be measured: a store on a client that is set up as its README says. */
export interface Contestant {
  /** As in the tables; unique. */
  name: string
  kind: Kind
  role: Role
  /** The contestant that is the driver alone. */
  driver?: string
  /** The npm packages whose versions matter, the store's own first. */
  packages: string[]
  /** Where it keeps sessions in an SQL database: the table, and the column with their data. */
  table?: Table
  /** The plugin that it needs in place of `@fastify/session`: it has no store. */
  plugin?: '@fastify/secure-session'
  /**
   * Resolves to the reason when it cannot run on this machine.
   * @param patient whether what is missing may be installed, which can take minutes
   */
  unavailable?(patient: boolean): Promise<string | undefined>
  open(place: Place): Promise<OpenStore>
}

export interface Table {
  name: string
  data: string
}

/** What our stores do when they are told to: know sessions by their user, seal what they hold. */
export type Feature = 'userOf' | 'encryptionKeys'

/** Where a contestant keeps its sessions, and nobody else's are. */
export interface Place {
  /** Of the server, on loopback; 0 where there is none. */
  port: number
  /** In Postgres. */
  database: string
  /** For SQLite: the path of a file. */
  file: string
  /** The checkout whose build of our stores is used; undefined for this one. */
  build?: string | undefined
  /** What of ours is switched on. */
  feature?: Feature | undefined
  /** Whether ours get a clock that can be moved, and prune only when they are told to. */
  movableClock?: boolean
}

/** A store that is used until its process is killed. */
export interface OpenStore {
  store: Store
  /** For a store in the memory of its process: forgets all sessions. */
  clear?(): unknown
  /** Deletes what has expired. Where expired sessions go by themselves, nobody has it. */
  prune?(): Promise<unknown>
  /** Sets the store's clock so many ms ahead of the machine's, or behind. */
  moveClock?(ms: number): void
}

/** Resolves when the store has answered a first call, by which some make their table. */
export function firstAnswer(store: Store): Promise<void> {
  return new Promise((resolve, reject) => {
    store.get('nobody', (error) => (error ? reject(error) : resolve()))
  })
}

/** What a driver alone does with the text it has read. */
export function answerParsed(
  callback: (error: unknown, session?: StoredSession | null) => void,
  error: unknown,
  text: string | null | undefined,
): void {
  let session: StoredSession | null = null
  try {
    if (!error && text) session = JSON.parse(text)
  } catch (unreadable) {
    callback(unreadable)
    return
  }
  callback(error, session)
}
