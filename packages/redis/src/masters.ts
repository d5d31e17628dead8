import { TryAgain } from '@session-stores/core'
import slotOf from 'cluster-key-slot'
import { addressOf, type Cluster, type Driver, isCluster, type Server } from './driver.ts'

/** How many slots a Cluster has. */
export const SLOTS = 16384

export interface Masters {
  servers: Server[]
  /** Who has which slots: a line for each master, `id address slots…`. */
  layout: string
}

/**
 * A connection to each master that has slots. What the driver takes for the masters may be out of date after a failover,
 * and scanning those would leave out a part of the sessions without a word: so the servers are asked too.
 * @throws TryAgain when not every master answers, or the driver does not know one of them
 */
export async function mastersOf(cluster: Cluster): Promise<Masters> {
  const servers = cluster.nodes('master')
  const views = (await Promise.all(servers.map((server) => server.cluster('NODES')))).map(viewOf)
  const answered = new Set(views.map(({ own }) => idOf(own)))
  const owners = new Set(views.flatMap(({ masters }) => masters.map(idOf)))
  if (owners.size === 0 || [...owners].some((id) => !answered.has(id))) {
    throw new TryAgain(new Error('the Cluster has a master that the driver does not know yet'))
  }
  return {
    servers,
    layout: views
      .map(({ own }) => own)
      .sort()
      .join('\n'),
  }
}

export function masterAt(address: string, servers: readonly Server[]): Server | undefined {
  return servers.find((server) => addressOf(server) === address)
}

/** The slots that had another owner in one layout than in the other, or were on their way in either. */
export function slotsThatMoved(before: string, after: string): number[] {
  const [a, b] = [ownersIn(before), ownersIn(after)]
  return [...a.keys()].filter((slot) => a[slot] !== b[slot] || a[slot] === MOVING)
}

const MOVING = 'moving'

/** The owner of each slot, as its id and address. */
function ownersIn(layout: string): string[] {
  const owners = new Array<string>(SLOTS).fill('')
  const lines = layout.split('\n').map((line) => line.split(' '))
  for (const [id, address, ...slots] of lines) {
    for (const range of slots) {
      const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? []
      if (first !== undefined) owners.fill(`${id} ${address}`, Number(first), Number(last) + 1)
    }
  }
  // On its way: [93->-… where it comes from, [93-<-… where it goes
  for (const [, slot] of layout.matchAll(/\[(\d+)-/g)) owners[Number(slot)] = MOVING
  return owners
}

interface View {
  /** The line of the server that answered. */
  own: string
  /** The lines of all masters with slots. */
  masters: string[]
}

/** The answer to CLUSTER NODES. */
function viewOf(answer: string): View {
  let own = ''
  const masters: string[] = []
  for (const line of answer.split('\n')) {
    const [id, address, flags, , , , , , ...slots] = line.split(' ')
    if (flags === undefined) continue
    const short = [id, address, ...slots].join(' ')
    if (flags.includes('myself')) own = short
    if (flags.includes('master') && slots.some((slot) => !slot.startsWith('['))) masters.push(short)
  }
  return { own, masters }
}

function idOf(line: string): string {
  return line.slice(0, line.indexOf(' '))
}

/** The address of the master that has this key; empty where there is only one server. */
export function masterOf(driver: Driver | undefined, name: string): string {
  return (driver && isCluster(driver) && driver.slots[slotOf(name)]?.[0]) || ''
}

/** Resolves when the server answers; of a Cluster, the master that has this key, or any where there is no key. */
export function pingMaster(driver: Driver, name: string | undefined): Promise<unknown> {
  if (!isCluster(driver)) return driver.ping()
  if (name === undefined) return Promise.any(driver.nodes('master').map((each) => each.ping()))
  return driver.getrange(name, 0, 0)
}
