import { setTimeout as sleep } from 'node:timers/promises'
import { isCluster, type RedisClient, type RedisCluster, type RedisConnection } from './client.ts'
import { within } from './within.ts'

/** How many keys of a server one SCAN looks at: well under a millisecond of the server's time. */
const SCAN_COUNT = 1000
/** How long a Cluster that is changing may take until its masters are known, and the pause between two looks, in ms. */
const SETTLING = 5000
const REST = 250

/** All keys of one store, wherever they are. */
export class Keyspace {
  readonly #client: RedisClient
  readonly #prefix: string
  readonly #timeout: number
  readonly #pattern: string

  /**
   * @param prefix all that comes before the session's key, the client's own prefix included
   * @param timeout how long each command may take, in ms
   */
  constructor(client: RedisClient, prefix: string, timeout: number) {
    this.#client = client
    this.#prefix = prefix
    this.#timeout = timeout
    // With its exact length, a pattern leaves out what another store keeps under a longer prefix.
    this.#pattern = prefix.replace(/[\\*?[\]]/g, '\\$&') + '?'.repeat(43)
  }

  /** The sessions' keys without prefix, in batches. Every key that is there throughout comes at least once. */
  async *batches(): AsyncGenerator<string[], void, undefined> {
    if (!isCluster(this.#client)) {
      yield* this.#batchesOf(this.#client)
      return
    }
    const before = await mastersOf(this.#client, this.#timeout)
    for (const master of before.connections) yield* this.#batchesOf(master)
    // A key that went from a server not yet scanned to one already scanned was missed: it is found the second time.
    const after = await mastersOf(this.#client, this.#timeout)
    if (before.settled && after.layout === before.layout) return
    for (const master of after.connections) yield* this.#batchesOf(master)
  }

  async *#batchesOf(connection: RedisConnection): AsyncGenerator<string[], void, undefined> {
    let cursor = '0'
    do {
      const answer = connection.scan(cursor, 'MATCH', this.#pattern, 'COUNT', SCAN_COUNT)
      const [next, names] = await within(this.#timeout, answer)
      cursor = `${next}`
      const keys = names.map((name) => name.slice(this.#prefix.length)).filter((key) => /^[\w-]{43}$/.test(key))
      if (keys.length > 0) yield keys
    } while (cursor !== '0')
  }
}

interface Masters {
  connections: RedisConnection[]
  /** Who has which slots, as text to compare. */
  layout: string
  /** No slot is on its way from one server to another. */
  settled: boolean
}

/**
 * A connection to each master that has slots. What the client takes for the masters may be out of date after a failover,
 * and scanning those would leave out a part of the sessions without a word: so the servers are asked too.
 */
async function mastersOf(cluster: RedisCluster, timeout: number): Promise<Masters> {
  const end = performance.now() + SETTLING
  for (;;) {
    const connections = cluster.nodes('master')
    const answers = await Promise.allSettled(connections.map((connection) => viewOf(connection, timeout)))
    const views = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
    const errors = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []))
    const asked = new Set(views.map(({ own }) => own?.id))
    const owners = new Set(views.flatMap(({ masters }) => masters.map(({ id }) => id)))
    if (errors.length === 0 && owners.size > 0 && [...owners].every((id) => asked.has(id))) {
      const own = views.map((view) => `${view.own?.id} ${view.own?.slots.join(' ')}`).sort()
      return { connections, layout: own.join('\n'), settled: !own.some((line) => line.includes('[')) }
    }
    if (performance.now() > end) throw errors[0] ?? new Error('the client does not know every master of the Cluster')
    refreshSlots(cluster)
    await sleep(REST)
  }
}

async function viewOf(connection: RedisConnection, timeout: number): Promise<View> {
  return parse(`${await within(timeout, connection.call('CLUSTER', 'NODES'))}`)
}

/** Makes the client ask the Cluster who has which slots. By itself ioredis does so only when a server tells it off. */
export function refreshSlots(cluster: RedisCluster): void {
  const { refreshSlotsCache } = cluster as { refreshSlotsCache?: (callback: () => void) => void }
  refreshSlotsCache?.call(cluster, () => {})
}

interface ClusterNode {
  id: string
  slots: string[]
}

interface View {
  /** The server itself. */
  own: ClusterNode | undefined
  /** Every master with slots. */
  masters: ClusterNode[]
}

/** The answer to CLUSTER NODES. */
function parse(answer: string): View {
  let own: ClusterNode | undefined
  const masters: ClusterNode[] = []
  for (const line of answer.split('\n')) {
    const [id, , flags, , , , , , ...slots] = line.split(' ')
    if (id === undefined || flags === undefined) continue
    const node = { id, slots }
    if (flags.includes('myself')) own = node
    if (flags.includes('master') && slots.some((slot) => !slot.startsWith('['))) masters.push(node)
  }
  return { own, masters }
}
