import { TryAgain } from '@session-stores/core'

/** A client of ioredis 5.11 or newer: `Redis`, for one server or a Sentinel set, or `Cluster`. */
export interface RedisClient {
  readonly status: string
  duplicate(...args: never[]): unknown
  on(event: 'end', listener: () => void): unknown
  off(event: 'end', listener: () => void): unknown
}

/** The commands that one server understands and a Cluster sends to the right one. */
export interface Commands {
  get(key: string): Promise<string | null>
  mget(...keys: string[]): Promise<Array<string | null>>
  getrange(key: string, from: number, to: number): Promise<string>
  set(key: string, value: Buffer, px: 'PX', ms: number): Promise<unknown>
  del(key: string): Promise<number>
  unlink(...keys: string[]): Promise<number>
  evalsha(sha1: string, numberOfKeys: number, ...keysAndArguments: Array<string | Buffer>): Promise<unknown>
  eval(script: string, numberOfKeys: number, ...keysAndArguments: Array<string | Buffer>): Promise<unknown>
  zscan(key: string, cursor: string, count: 'COUNT', size: number): Promise<[string, string[]]>
}

/** A connection to one server: ioredis' `Redis`. */
export interface Server extends Commands, Lifecycle {
  readonly options: { host?: string; port?: number }
  ping(): Promise<unknown>
  scan(cursor: string, match: 'MATCH', pattern: string, count: 'COUNT', size: number): Promise<[string, string[]]>
  cluster(subcommand: 'NODES'): Promise<string>
  info(): Promise<string>
  config(subcommand: 'GET', name: string): Promise<unknown>
  /** Seconds since the epoch, and microseconds. */
  time(): Promise<Array<string | number>>
}

/** Connections to all servers of a Cluster: ioredis' `Cluster`. */
export interface Cluster extends Commands, Lifecycle {
  readonly isCluster: true
  /** By slot: the addresses of the server that has it and of its replicas, `host:port`. */
  readonly slots: ReadonlyArray<readonly string[] | undefined>
  nodes(role: 'master'): Server[]
}

export type Driver = Server | Cluster

interface Lifecycle {
  readonly status: string
  connect(): Promise<unknown>
  disconnect(): void
  quit(): Promise<unknown>
  on(event: 'error' | 'node error', listener: (error: Error) => void): unknown
  once(event: 'connect' | 'ready' | 'end', listener: () => void): unknown
}

/** How long a new connection may take to be accepted, in ms: time for TLS over 600 ms of round trip. */
const CONNECT_TIMEOUT = 2000
/** A connection on which nothing comes for this long, though an answer is due, is taken for dead. In ms. */
const SOCKET_TIMEOUT = 1500
/** How long a Sentinel may take to answer, in ms. */
const SENTINEL_TIMEOUT = 1000
/** The pause until a server that is loading its data is asked again whether it is ready, in ms. */
const LOADING_PAUSE = 50
/** How long a connection that was closed here waits for the other end to agree, in ms. */
const DISCONNECT_TIMEOUT = 100
/** How long a connection is used at least before another takes its place, in ms. */
const LEAST_AGE = 250

/**
 * What the store's own connection does differently from the application's client. It never connects again: once it is lost
 * it is over, and another one is made. So the driver keeps no command to send later, behind a log-out that was answered
 * meanwhile, and each connection is made with the password that the application's client has by then.
 */
const COMMON_OPTIONS = {
  lazyConnect: true,
  enableOfflineQueue: false,
  enableReadyCheck: true,
  enableAutoPipelining: false,
  keyPrefix: '',
}
const SERVER_OPTIONS = {
  ...COMMON_OPTIONS,
  retryStrategy: null,
  sentinelRetryStrategy: null,
  reconnectOnError: null,
  connectTimeout: CONNECT_TIMEOUT,
  socketTimeout: SOCKET_TIMEOUT,
  disconnectTimeout: DISCONNECT_TIMEOUT,
  maxLoadingRetryTime: LOADING_PAUSE,
  // It rejects a command and sends it all the same.
  commandTimeout: undefined,
  stringNumbers: false,
  replyMapping: 'legacy',
  monitor: false,
  readOnly: false,
  // The application's own, which a connection would prepare at each start.
  himportFieldsets: undefined,
}
const CLUSTER_OPTIONS = {
  ...COMMON_OPTIONS,
  clusterRetryStrategy: null,
  clusterNodeRetryStrategy: null,
  // Core sends again what failed.
  retryDelayOnFailover: 0,
  retryDelayOnClusterDown: 0,
  shardedSubscribers: false,
}

/**
 * What a server says that will do the same a moment later. Redis 6 wraps what a command in a script was told. In a Cluster, a
 * command may also be told why its server refused the connection.
 */
const PASSING =
  /(?:^|: -)(?:LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|READONLY|NOAUTH|WRONGPASS|ERR max number of clients)\b/

/**
 * The one connection to Redis that all stores with the same client share, made from that client's settings when it is first
 * needed, and made anew when it is needed after it was lost.
 */
export class Connection {
  static readonly #ofClients = new WeakMap<RedisClient, Connection>()

  readonly #client: RedisClient
  #stores = 0
  /** The last one that was ready; perhaps it is lost by now. */
  #current: Driver | undefined
  #readySince = 0
  #opening: Promise<Driver> | undefined
  /** The one that is being opened. */
  #next: Driver | undefined
  /** Why there is no connection. */
  #reason: unknown

  /** The connection of this client, for one more store. */
  static of(client: RedisClient): Connection {
    let connection = Connection.#ofClients.get(client)
    if (connection === undefined) {
      connection = new Connection(client)
      Connection.#ofClients.set(client, connection)
    }
    return connection
  }

  private constructor(client: RedisClient) {
    this.#client = client
  }

  /** For each store, before its first use. */
  acquire(): void {
    this.#stores += 1
    if (this.#stores === 1) this.#client.on('end', this.#drop)
  }

  /** The last store closes the connection. */
  release(): void {
    this.#stores -= 1
    if (this.#stores > 0) return
    this.#client.off('end', this.#drop)
    this.#drop()
  }

  /**
   * The driver, connected.
   * @throws TryAgain when it is not, and then it is being connected
   * @throws Error when the store or the application's client was closed
   */
  get driver(): Driver {
    const current = this.#current
    if (current?.status === 'ready') return current
    this.#checkOpen()
    this.#open().catch(() => {})
    throw new TryAgain(this.#reason ?? new Error('the connection to Redis is being made'))
  }

  /** Resolves when the driver is connected; rejects, as `driver` throws, when the attempt has failed. */
  async connected(): Promise<Driver> {
    if (this.#current?.status === 'ready') return this.#current
    this.#checkOpen()
    try {
      return await this.#open()
    } catch (error) {
      throw new TryAgain(error)
    }
  }

  /**
   * Sends commands by the driver.
   * @throws what `driver` and `failure` make of it
   */
  send<T>(commands: (driver: Driver) => Promise<T>): Promise<T> {
    const driver = this.driver
    return commands(driver).catch((error) => {
      throw this.failure(error, driver)
    })
  }

  /** Whether it leads to a Cluster, where keys of different slots cannot be had by one command. */
  get isCluster(): boolean {
    return isCluster(this.#client)
  }

  /** The driver that was connected last, to ask it what it knows. */
  get last(): Driver | undefined {
    return this.#current
  }

  /** What core is to make of a command's failure on this driver: a `TryAgain`, or the error as it is. */
  failure(error: Error, driver: Driver | undefined): Error {
    if (error instanceof TryAgain) return error
    if (!wasRefused(error)) return new TryAgain(this.#reason ?? error) // it was lost
    if (!PASSING.test(error.message)) return error
    // The name of a server may lead to another one since a failover.
    if (driver && error.message.includes('READONLY')) this.renew(driver)
    return new TryAgain(error)
  }

  /** The same for what a server answered inside an answer: the text of an error. */
  refusal(message: string): Error {
    return this.failure(Object.assign(new Error(message), { name: 'ReplyError' }), this.#current)
  }

  /** Puts a new connection in this one's place, which asks anew where the servers are. Commands under way are answered. */
  renew(driver: Driver): void {
    const isYoung = performance.now() - this.#readySince < LEAST_AGE
    if (driver === this.#current && driver.status === 'ready' && !isYoung) this.#open().catch(() => {})
  }

  #open(): Promise<Driver> {
    this.#opening ??= this.#attempt().finally(() => {
      this.#opening = undefined
      this.#next = undefined
    })
    return this.#opening
  }

  async #attempt(): Promise<Driver> {
    const driver = await new Promise<Driver>((resolve, reject) => {
      const credentials = credentialsOf(this.#client)
      const driver = duplicateOf(this.#client)
      const fail = (error: Error) => reject(this.#reason ?? error)
      this.#next = driver
      driver.on('error', (error) => this.#note(causeOf(error, driver)))
      driver.on('node error', (error) => {
        this.#note(error)
        if (credentials !== credentialsOf(this.#client)) this.renew(driver)
      })
      driver.once('connect', () => {
        if (this.#reason !== undefined && !isUnreachable(this.#reason)) return
        this.#reason = new Error('Redis accepted the connection, and then was loading its data or did not answer')
      })
      driver.once('ready', () => resolve(driver))
      driver.once('end', () => fail(new Error('Connection is closed.')))
      driver.connect().catch(fail)
    })
    const old = this.#current
    this.#current = driver
    this.#readySince = performance.now()
    this.#reason = undefined
    if (old?.status === 'ready') old.quit().catch(() => {})
    return driver
  }

  /** A server that refuses a connection closes it at once: what the server said counts more than how that looks from here. */
  #note(error: Error): void {
    if (!wasRefused(this.#reason) || wasRefused(error) || isUnreachable(error)) this.#reason = error
  }

  #checkOpen(): void {
    if (this.#stores === 0) throw new Error('the store is closed')
    // As ioredis says. A Cluster that was closed ends up in either status.
    if (/^(end|close)$/.test(this.#client.status)) throw new Error('Connection is closed.')
  }

  readonly #drop = (): void => {
    this.#next?.disconnect()
    this.#current?.disconnect()
    this.#current = undefined
  }
}

/** A server's address as ioredis writes it in `slots`. */
export function addressOf({ options }: Server): string {
  return `${options.host}:${options.port}`
}

export function isCluster(client: Driver | RedisClient): client is Cluster {
  return (client as { isCluster?: boolean }).isCluster === true
}

/**
 * A text as bytes that print as `?`. Tracers print a command's arguments, and of a script's all of them, by turning them
 * into text; ioredis sends the bytes as they are.
 */
export function unprinted(text: string): Buffer {
  const bytes = Buffer.from(text)
  bytes.toString = () => '?'
  bytes.toJSON = () => ({ type: 'Buffer', data: [] })
  return bytes
}

interface ClientOptions {
  username?: unknown
  password?: unknown
  sentinelCommandTimeout?: unknown
  redisOptions?: ClientOptions
}

function duplicateOf(client: RedisClient): Driver {
  const { redisOptions, sentinelCommandTimeout = SENTINEL_TIMEOUT } = optionsOf(client)
  const duplicate = client.duplicate.bind(client) as (...args: unknown[]) => Driver
  return isCluster(client)
    ? duplicate([], { ...CLUSTER_OPTIONS, redisOptions: { ...redisOptions, ...SERVER_OPTIONS } })
    : duplicate({ ...SERVER_OPTIONS, sentinelCommandTimeout })
}

/** With what the servers of a Cluster are logged in to. A connection to one server is made anew for new credentials. */
function credentialsOf(client: RedisClient): string {
  const { username, password } = optionsOf(client).redisOptions ?? {}
  return JSON.stringify([username, password])
}

function optionsOf(client: RedisClient): ClientOptions {
  return (client as { options?: ClientOptions }).options ?? {}
}

/** Whether the server answered with an error, and there was no trouble on the way to it. */
function wasRefused(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError'
}

function isUnreachable(error: unknown): boolean {
  return (error as { syscall?: string } | undefined)?.syscall === 'connect'
}

interface NetworkError extends Error {
  code?: string
  /** Of ioredis' `ClusterAllFailedError`. */
  lastNodeError?: Error | null
}

/** What an operator should know of an error of the driver's. */
function causeOf(error: NetworkError, { status }: Driver): Error {
  // Before the error arrives that Redis sends first, the connection often breaks.
  if (status === 'connect' && (error.code === 'EPIPE' || error.code === 'ECONNRESET')) {
    const message = 'Redis accepted the connection and closed it at once, as it does beyond its maxclients'
    return new Error(message, { cause: error })
  }
  return error.lastNodeError ?? error
}
