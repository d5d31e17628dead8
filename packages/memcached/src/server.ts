import { channel } from 'node:diagnostics_channel'
import { Connection } from './connection.ts'
import type { MemjsClient, MemjsServer } from './memjs.ts'
import {
  type Command,
  encodeCommand,
  fromMemjs,
  type MemjsResponse,
  Opcode,
  type Response,
  Status,
} from './protocol.ts'

/** How long a request waits for a server that is thought to be down to prove the opposite, in ms; longer if it is far away. */
const PATIENCE = 150
/** What that proof takes at most: round trips for the connection, the log-in in two steps, and an answer; and one to spare. */
const ROUND_TRIPS = 5
/** What Memcached takes when it was not told otherwise (`-I`), and when it does not say. */
const DEFAULT_ITEM_BYTES = 1024 * 1024
/** memjs' attempts at a request: it would repeat one blindly, and then log to the console. */
const ONE_ATTEMPT = 1

/** What memjs would print: each failed request, with the server's address. Never a key or a value. */
const log = channel('session-stores:memcached:log')

/**
 * One Memcached server. Each request ends by its deadline; and while the server is down or does not answer, requests fail
 * fast, so that only its own sessions suffer. The first request after its return goes through.
 */
export class Server {
  readonly name: string
  readonly #memjs: MemjsServer
  readonly #connection: Connection
  /** The application's client, narrowed to this server. */
  readonly #client: MemjsClient
  /** The shortest that an answer ever took, in ms: how far away the server is. */
  #roundTrip = Number.POSITIVE_INFINITY
  /** Why the server is thought to be down. */
  #down: Error | undefined
  #probe: Promise<boolean> | undefined
  #itemBytes: { over: number; bytes: number } | undefined

  constructor(client: MemjsClient, memjs: MemjsServer) {
    this.name = `${memjs.host}:${memjs.port}`
    this.#memjs = memjs
    this.#connection = Connection.of(memjs)
    const logger = { log: (message: unknown) => log.publish({ message }) }
    this.#client = Object.create(client, {
      options: { value: { ...client.options, failover: false, logger } },
      server: { value: () => memjs },
    })
  }

  /**
   * Sends the commands as one request, and answers the responses in their order: for each `getQuietly` that found
   * nothing, undefined. The last command must be one that is always answered.
   *
   * When the connection breaks and the server is there again in time, they are sent once more: every command given here
   * can stand that.
   * @param deadline on the clock of `performance.now()`
   * @param onAnswer also takes the answers to all commands but the last, of which there may be several to one
   */
  async send(
    commands: readonly Command[],
    deadline: number,
    onAnswer?: (answer: Response) => void,
  ): Promise<Array<Response | undefined>> {
    if (this.#down) await this.#return(this.#patience, deadline)
    try {
      return await this.#exchange(commands, deadline, onAnswer)
    } catch (error) {
      if (!this.#down || error instanceof TimedOut) throw error
      await this.#return(Number.POSITIVE_INFINITY, deadline)
      return this.#exchange(commands, deadline, onAnswer)
    }
  }

  /** Resolves when the server answers. */
  async ping(deadline: number): Promise<void> {
    await this.#exchange([{ opcode: Opcode.noop }], deadline)
  }

  /** The server's limit for one item, all told: its value, its key and what the server itself needs. */
  async itemBytes(deadline: number): Promise<number> {
    if (this.#itemBytes?.over !== this.#connection.over) {
      const bytes = await this.#askItemBytes(deadline)
      this.#itemBytes = { over: this.#connection.over, bytes }
    }
    return this.#itemBytes.bytes
  }

  async #askItemBytes(deadline: number): Promise<number> {
    const noop = { opcode: Opcode.noop }
    const settings = new Map<string, string>()
    const onStat = ({ status, key, value }: Response) => {
      if (status === Status.ok) settings.set(key.toString(), value.toString())
    }
    await this.send([{ opcode: Opcode.stat, key: 'settings' }, noop], deadline, onStat)
    const bytes = Number(settings.get('item_size_max'))
    return bytes > 0 ? bytes : DEFAULT_ITEM_BYTES
  }

  get #patience(): number {
    return Number.isFinite(this.#roundTrip) ? Math.max(PATIENCE, ROUND_TRIPS * this.#roundTrip) : PATIENCE
  }

  /**
   * Resolves when the server answers again.
   * @param patience for how long to wait for that, in ms, within the deadline
   * @throws the reason why it was thought to be down, when it does not
   */
  async #return(patience: number, deadline: number): Promise<void> {
    const reason = this.#down
    let timer: NodeJS.Timeout | undefined
    const impatience = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => setImmediate(resolve, undefined), Math.min(patience, remaining(deadline)))
    })
    const ask = () => {
      this.#probe ??= this.#startProbe(deadline)
      return Promise.race([this.#probe, impatience])
    }
    const late = this.#probe !== undefined
    let up = await ask()
    // The question that was under way may have been lost in the outage: only one asked since says how things are now.
    if (up === false && late) up = await ask()
    clearTimeout(timer)
    if (!up) throw reason
  }

  /** Resolves to whether the server answered; never rejects. */
  #startProbe(deadline: number): Promise<boolean> {
    return this.ping(deadline).then(
      () => {
        this.#probe = undefined
        return true
      },
      () => {
        this.#probe = undefined
        return false
      },
    )
  }

  /**
   * One request over memjs. It takes no more than one answer for each, so those to all commands but the last go to
   * callbacks of our own; they come before the last one's.
   */
  #exchange(
    commands: readonly Command[],
    deadline: number,
    onAnswer?: (answer: Response) => void,
  ): Promise<Array<Response | undefined>> {
    return new Promise((resolve, reject) => {
      if (remaining(deadline) === 0) throw new TimedOut(`no time left to ask ${this.name}`)
      const answers: Array<Response | undefined> = commands.map(() => undefined)
      const opaques = commands.map(() => this.#connection.nextOpaque())
      const request = Buffer.concat(commands.map((command, n) => encodeCommand(command, opaques[n] as number)))
      const last = commands.length - 1

      for (let n = 0; n < last; n += 1) {
        const take = (response: MemjsResponse) => {
          const answer = fromMemjs(response)
          answers[n] = answer
          onAnswer?.(answer)
        }
        this.#memjs.onResponse(opaques[n] as number, Object.assign(take, { quiet: true }))
      }

      let settled = false
      const forget = () => {
        settled = true
        clearTimeout(timer)
        for (let n = 0; n < last; n += 1) delete this.#memjs.responseCallbacks[opaques[n] as number]
      }
      const expire = () => {
        if (!settled) this.#connection.fail(new TimedOut(`${this.name} did not answer in time`))
      }
      // After a stall of the event loop the timer comes first, though the answer may be waiting in the socket: let it in.
      const timer = setTimeout(() => setImmediate(expire), remaining(deadline))
      const begun = performance.now()

      const callback = (error: Error | null, response: MemjsResponse) => {
        if (settled) return
        forget()
        if (error) {
          this.#down = error
          reject(error)
          return
        }
        this.#down = undefined
        this.#roundTrip = Math.min(this.#roundTrip, performance.now() - begun)
        answers[last] = fromMemjs(response)
        resolve(answers)
      }
      this.#client.perform('', request, opaques[last] as number, callback, ONE_ATTEMPT)
    })
  }
}

/** The server had its time: no use in sending the request again. */
class TimedOut extends Error {}

/** In ms, never negative: Node warns of that. */
function remaining(deadline: number): number {
  return Math.max(0, deadline - performance.now())
}
