import type {
  Awaitable,
  Backend,
  Batch,
  Cutoff,
  Expected,
  Finding,
  KeyedRecord,
  SessionRecord,
  StoredRecord,
  Version,
} from '../backend.ts'
import type { Work } from '../call.ts'
import type { StoreIdentity } from '../diagnostics.ts'
import { Guard } from './guard.ts'
import type { Limit } from './limit.ts'

/** The records as the rest of core uses them: a guarded backend, or a layer over it. */
export type Records = Omit<GuardedBackend, 'guard'>

/**
 * A backend behind a guard, and a backend itself, with the same optional verbs: each verb ends by its deadline, is tried
 * again where that may help, and fails with a 503 that holds nothing of the session.
 */
export class GuardedBackend implements Backend {
  readonly name: string
  readonly guard: Guard
  readonly insert?: (
    key: string,
    record: SessionRecord,
    version: Version,
    limit?: Limit,
  ) => Awaitable<'inserted' | 'exists'>
  readonly prune?: (cutoff: Cutoff, from?: string, limit?: Limit) => Awaitable<Batch & { removed: number }>
  readonly count?: (cutoff: Cutoff, from?: string, limit?: Limit) => Awaitable<Batch & { count: number }>
  readonly scan?: (from?: string, limit?: Limit) => Awaitable<Batch & { records: KeyedRecord[] }>
  readonly clear?: (from?: string, limit?: Limit) => Awaitable<Batch>
  readonly findByUser?: (userId: string, from?: string, limit?: Limit) => Awaitable<Batch & { records: KeyedRecord[] }>
  readonly removeOfUser?: (userId: string, keys: string[], limit?: Limit) => Awaitable<number>
  readonly ping?: (work?: Work, limit?: Limit) => Awaitable<void>
  readonly check?: (expected: Expected, limit?: Limit) => Awaitable<Finding[]>

  /**
   * @param now the store's clock
   * @param timeout how long a call may take, in ms
   * @param identity for the diagnostics channels
   */
  constructor(backend: Backend, now: () => number, timeout: number, identity: StoreIdentity) {
    this.name = backend.name
    this.guard = new Guard(backend, now, timeout, identity)
    if (backend.insert) {
      this.insert = (key, record, version, limit) => this.#run('insert', [key, record, version], limit)
    }
    if (backend.prune) this.prune = (cutoff, from, limit) => this.#run('prune', [cutoff, from], limit)
    if (backend.count) this.count = (cutoff, from, limit) => this.#run('count', [cutoff, from], limit)
    if (backend.scan) this.scan = (from, limit) => this.#run('scan', [from], limit)
    if (backend.clear) this.clear = (from, limit) => this.#run('clear', [from], limit)
    if (backend.findByUser) this.findByUser = (userId, from, limit) => this.#run('findByUser', [userId, from], limit)
    if (backend.removeOfUser) {
      this.removeOfUser = (userId, keys, limit) => this.#run('removeOfUser', [userId, keys], limit)
    }
    if (backend.check) this.check = (expected, limit) => this.#run('check', [expected], limit)
    if (backend.ping) this.ping = (work = { verb: 'ping', key: undefined }, limit) => this.#run('ping', [work], limit)
  }

  read(key: string, limit?: Limit): Awaitable<StoredRecord | 'unreadable' | undefined> {
    return this.#run('read', [key], limit)
  }

  write(key: string, record: SessionRecord, version: Version, limit?: Limit): Awaitable<void> {
    return this.#run('write', [key, record, version], limit)
  }

  replace(
    key: string,
    record: SessionRecord,
    version: Version,
    expected: Version,
    limit?: Limit,
  ): Awaitable<'replaced' | 'conflict' | 'missing'> {
    return this.#run('replace', [key, record, version, expected], limit)
  }

  touch(key: string, expiresAt: number, expected: Version, userId?: string, limit?: Limit): Awaitable<boolean> {
    return this.#run('touch', [key, expiresAt, expected, userId], limit)
  }

  remove(key: string, limit?: Limit): Awaitable<boolean> {
    return this.#run('remove', [key], limit)
  }

  #run<T>(verb: Parameters<Guard['run']>[0], args: readonly unknown[], limit?: Limit): Awaitable<T> {
    return this.guard.run(verb, args, limit ?? { deadline: this.guard.deadline() }) as Awaitable<T>
  }
}
