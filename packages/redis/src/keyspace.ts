import { type Batch, TryAgain } from '@session-stores/core'
import slotOf from 'cluster-key-slot'
import { addressOf, type Cluster, type Connection, type Driver, isCluster, type Server } from './driver.ts'
import { type Masters, masterAt, mastersOf, SLOTS, slotsThatMoved } from './masters.ts'

/** How often the keys of slots are looked at that move between servers all the time. */
const MAX_PASSES = 5

/** How many keys a server looks at for one batch, in well under a millisecond. */
const KEYS_A_BATCH = 1000

/** Some of the sessions' keys, without prefix, and where to go on. */
export interface Keys {
  keys: string[]
  next?: string | undefined
  /** The slots whose keys are looked at again from here on. */
  again?: number[]
}

/** How far a walk over the masters of a Cluster has come; as text, it is the `next` of a batch. */
interface Walk {
  /** Where SCAN goes on, by the address of each master that this pass has not finished. */
  cursors: Record<string, string>
  /** Who had which slots when the pass began. */
  layout: string
  /** The slots that the pass is about; undefined for all. */
  slots?: number[]
  pass: number
}

/** All keys of one store's sessions, wherever they are, in batches. */
export class Keyspace {
  readonly #connection: Connection
  readonly #prefix: string
  readonly #pattern: string
  readonly #wanted: RegExp

  /**
   * @param prefix all that comes before the session's key
   * @param withIndexes whether the users' indexes are looked for, too
   */
  constructor(connection: Connection, prefix: string, { withIndexes = false } = {}) {
    this.#connection = connection
    this.#prefix = prefix
    // With its exact length, a pattern leaves out what another store keeps under a longer prefix.
    this.#pattern = prefix.replace(/[\\*?[\]]/g, '\\$&') + (withIndexes ? '*' : '?'.repeat(43))
    this.#wanted = withIndexes ? /^(?:[\w-]{43}|user:[\w-]{43}:sessions)$/ : /^[\w-]{43}$/
  }

  /**
   * One batch. Over all batches, every key that is there throughout comes at least once.
   * @param size how many keys a server looks at, whosever they are
   */
  async batch(driver: Driver, from: string | undefined, size: number): Promise<Keys> {
    if (isCluster(driver)) return this.#clusterBatch(driver, from, size)
    const { keys, cursor } = await this.#scan(driver, from ?? '0', size)
    return { keys, next: cursor === '0' ? undefined : cursor }
  }

  /**
   * One batch of counting. Where slots move in a Cluster, a key is seen twice or not at all, so the keys of each slot are
   * counted for themselves, until it has stayed in its place; the sum comes with the last batch. While Redis makes its hash
   * table smaller, SCAN may answer a key twice, and then it is counted twice.
   */
  async count(driver: Driver, from: string | undefined): Promise<{ count: number; next?: string | undefined }> {
    if (!isCluster(driver)) {
      const { keys, next } = await this.batch(driver, from, KEYS_A_BATCH)
      return { count: keys.length, next }
    }
    const [text, at] = from?.split(' ', 2) ?? []
    const counts = new Uint32Array(SLOTS)
    if (text !== undefined) Buffer.from(counts.buffer).write(text, 'base64')
    const { keys, next, again = [] } = await this.#clusterBatch(driver, at && decodeURIComponent(at), KEYS_A_BATCH)
    for (const key of keys) (counts[this.#slotOf(key)] as number) += 1
    if (next === undefined) return { count: counts.reduce((sum, each) => sum + each, 0) }
    for (const slot of again) counts[slot] = 0
    return { count: 0, next: `${Buffer.from(counts.buffer).toString('base64')} ${encodeURIComponent(next)}` }
  }

  /** Deletes one batch of them. */
  async clear(driver: Driver, from: string | undefined): Promise<Batch> {
    const { keys, next } = await this.batch(driver, from, KEYS_A_BATCH)
    const names = keys.map((key) => this.#prefix + key)
    // In a Cluster one command deletes only keys of one slot, and these are spread over all of them.
    const commands = isCluster(driver) ? names.map((name) => [name]) : names.length > 0 ? [names] : []
    await Promise.all(commands.map((each) => driver.unlink(...each)))
    return { next }
  }

  async #clusterBatch(cluster: Cluster, from: string | undefined, size: number): Promise<Keys> {
    const walk = from === undefined ? firstPass(await this.#masters(cluster)) : (JSON.parse(from) as Walk)
    const under = Object.entries(walk.cursors)
    const each = Math.ceil(size / under.length)
    const found = await Promise.all(under.map(([address, cursor]) => this.#scanMaster(cluster, address, cursor, each)))
    const all = found.flatMap(({ keys }) => keys)
    const slots = walk.slots && new Set(walk.slots)
    const keys = slots === undefined ? all : all.filter((key) => slots.has(this.#slotOf(key)))
    const left = under.map(([address], n) => [address, found[n]?.cursor ?? '0'] as const).filter(([, at]) => at !== '0')
    if (left.length > 0) return { keys, next: JSON.stringify({ ...walk, cursors: Object.fromEntries(left) }) }
    // A key that went from a master not yet scanned to one already scanned was missed: it is found in another pass.
    const masters = await this.#masters(cluster)
    const moved = slotsThatMoved(walk.layout, masters.layout)
    const again = slots === undefined ? moved : moved.filter((slot) => slots.has(slot))
    if (again.length === 0 || walk.pass === MAX_PASSES) return { keys }
    return { keys, next: JSON.stringify({ ...firstPass(masters), slots: again, pass: walk.pass + 1 }), again }
  }

  async #scanMaster(cluster: Cluster, address: string, cursor: string, size: number) {
    const known = masterAt(address, cluster.nodes('master'))
    if (known !== undefined) return this.#scan(known, cursor, size)
    // Its connection was lost, or it is no master any more: then its slots have moved, which the end of the pass shows.
    const { servers } = await this.#masters(cluster)
    const found = masterAt(address, servers)
    return found === undefined ? { keys: [], cursor: '0' } : this.#scan(found, cursor, size)
  }

  async #scan(server: Server, from: string, size: number): Promise<{ keys: string[]; cursor: string }> {
    const [cursor, names] = await server.scan(from, 'MATCH', this.#pattern, 'COUNT', size)
    const keys = names.map((name) => name.slice(this.#prefix.length)).filter((key) => this.#wanted.test(key))
    return { keys, cursor: `${cursor}` }
  }

  async #masters(cluster: Cluster): Promise<Masters> {
    try {
      return await mastersOf(cluster)
    } catch (error) {
      if (error instanceof TryAgain) this.#connection.renew(cluster)
      throw error
    }
  }

  #slotOf(key: string): number {
    return slotOf(this.#prefix + key)
  }
}

function firstPass({ servers, layout }: Masters): Walk {
  return { cursors: Object.fromEntries(servers.map((server) => [addressOf(server), '0'])), layout, pass: 1 }
}
