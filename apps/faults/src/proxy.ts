import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { BlackHole } from './black-hole.ts'

type Direction = 'requests' | 'answers'

/** What a connection that is there becomes. */
type Fate =
  | 'works'
  | 'silent' // nothing passes any more, and nobody is told
  | 'stale' // the same, and who sends something over it learns that it is gone

/** A network of our own between the applications and a server, in which things can go wrong. */
export class TcpProxy {
  readonly host = '127.0.0.1'
  /** How long everything is under way, each way, in ms. */
  delay = 0
  /** So many of 100 pieces come late by so many ms, and with them what was sent after them. */
  late = { percent: 0, ms: 0 }
  /** Each way and connection. */
  bytesPerSecond = Number.POSITIVE_INFINITY
  /** The connection breaks in the middle of each so manieth answer. */
  cutEvery = Number.POSITIVE_INFINITY
  /** New connections are taken, and nothing ever comes over them. */
  swallowsNew = false
  readonly #target: number
  readonly #stalled = new Set<Direction>()
  readonly #connections = new Set<Connection>()
  #server: Server | undefined
  #blackHole: BlackHole | undefined
  #port = 0
  #answers = 0

  private constructor(target: number) {
    this.#target = target
  }

  static async to(port: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(port)
    await proxy.accept()
    return proxy
  }

  get port(): number {
    return this.#port
  }

  /** Takes connections, after `refuse` and `dropNew` too. */
  async accept(): Promise<void> {
    await this.#blackHole?.close()
    this.#blackHole = undefined
    this.#server = createServer((client) => {
      const connection = new Connection(this, client, this.swallowsNew ? undefined : connect(this.#target, this.host))
      this.#connections.add(connection)
      client.on('close', () => this.#connections.delete(connection))
    })
    this.#server.listen(this.#port, this.host)
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** Resets all connections, and refuses new ones. */
  refuse(): void {
    this.#stopListening()
    this.reset()
  }

  /** Attempts to connect get no answer at all: what is sent to open a connection is dropped. */
  async dropNew(): Promise<void> {
    this.#stopListening()
    this.#blackHole = await BlackHole.open(this.#port)
  }

  reset(): void {
    for (const connection of this.#connections) connection.reset()
  }

  /** What becomes of the connections there are; new ones work. */
  makeAll(fate: Fate): void {
    for (const connection of this.#connections) connection.become(fate)
  }

  /** Holds everything in this direction until `flow`. */
  stall(direction: Direction): void {
    this.#stalled.add(direction)
  }

  flow(): void {
    this.#stalled.clear()
    for (const connection of this.#connections) connection.pump()
  }

  isStalled(direction: Direction): boolean {
    return this.#stalled.has(direction)
  }

  /** Whether this answer is one that is cut. */
  cutsNow(): boolean {
    this.#answers += 1
    return this.#answers % this.cutEvery === 0
  }

  async close(): Promise<void> {
    this.refuse()
    await this.#blackHole?.close()
  }

  /** The connections there are stay. */
  #stopListening(): void {
    this.#server?.close()
    this.#server = undefined
  }
}

/** A client's connection and the one to the server that belongs to it. */
class Connection {
  #fate: Fate = 'works'
  readonly #client: Socket
  readonly #server: Socket | undefined
  readonly #ways: Way[]

  constructor(proxy: TcpProxy, client: Socket, server: Socket | undefined) {
    this.#client = client
    this.#server = server
    this.#ways = server
      ? [new Way(this, proxy, 'requests', client, server), new Way(this, proxy, 'answers', server, client)]
      : []
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ]) {
      socket?.setNoDelay()
      socket?.on('error', () => {})
      socket?.on('close', () => {
        if (this.#fate === 'works' || socket === client) other?.destroy()
      })
    }
    if (server === undefined) client.resume()
  }

  get fate(): Fate {
    return this.#fate
  }

  /** What does not work any more, the server has given up already. */
  become(fate: Fate): void {
    this.#fate = fate
    if (fate !== 'works') this.#server?.destroy()
  }

  reset(): void {
    this.#client.resetAndDestroy()
    this.#server?.resetAndDestroy()
  }

  pump(): void {
    for (const way of this.#ways) way.pump()
  }
}

/** One of a connection's two ways. What is sent first arrives first, as TCP has it. */
class Way {
  readonly #connection: Connection
  readonly #proxy: TcpProxy
  readonly #direction: Direction
  readonly #to: Socket
  readonly #pieces: Array<{ bytes: Buffer; due: number }> = []
  #lastDue = 0
  #timer: NodeJS.Timeout | undefined

  constructor(connection: Connection, proxy: TcpProxy, direction: Direction, from: Socket, to: Socket) {
    this.#connection = connection
    this.#proxy = proxy
    this.#direction = direction
    this.#to = to
    from.on('data', (bytes) => this.#take(bytes, from))
  }

  #take(bytes: Buffer, from: Socket): void {
    const { fate } = this.#connection
    if (fate === 'stale' && this.#direction === 'requests') this.#connection.reset()
    if (fate !== 'works') return
    const { delay, late, bytesPerSecond } = this.#proxy
    const lateness = Math.random() * 100 < late.percent ? late.ms : 0
    const due = Math.max(this.#lastDue, performance.now() + delay + lateness) + (bytes.length / bytesPerSecond) * 1000
    this.#lastDue = due
    this.#pieces.push({ bytes, due })
    // A slow network takes no more than it has room for
    if (Number.isFinite(bytesPerSecond)) {
      from.pause()
      setTimeout(() => from.resume(), due - performance.now())
    }
    this.pump()
  }

  /** Sends on what is due. */
  pump(): void {
    clearTimeout(this.#timer)
    while (this.#pieces.length > 0 && !this.#proxy.isStalled(this.#direction)) {
      const [{ bytes, due }] = this.#pieces as [{ bytes: Buffer; due: number }]
      const wait = due - performance.now()
      if (wait > 0) {
        this.#timer = setTimeout(() => this.pump(), wait)
        return
      }
      this.#pieces.shift()
      if (this.#direction === 'answers' && this.#proxy.cutsNow()) {
        this.#to.write(bytes.subarray(0, bytes.length / 2), () => this.#connection.reset())
        return
      }
      if (!this.#to.destroyed) this.#to.write(bytes)
    }
  }
}
