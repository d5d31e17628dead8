import type { Socket } from 'node:net'
import { type Call, TryAgain } from '@session-stores/core'
import { logInCommand, type MemjsServer, nameOf, openSocket } from './driver.ts'
import { type Answer, AnswerReader, type Command, encode, Opcode, Status } from './protocol.ts'

// The opaques of what is sent first of all, and of all else. A log-in's answer matters only when it is a refusal.
const LOG_IN_OPAQUE = 0
const SETTINGS_OPAQUE = 1
const FIRST_OPAQUE = 2
const LAST_OPAQUE = 0xffff_ffff

/** What Memcached takes when it was not told otherwise (`-I`), and when it does not say. In bytes. */
const DEFAULT_ITEM_BYTES = 1024 * 1024

interface Request {
  readonly call: Call
  readonly firstOpaque: number
  readonly lastOpaque: number
  readonly answers: Answer[]
  /** How many pieces had been received when it was sent. */
  readonly receivedBefore: number
  readonly resolve: (answers: Answer[]) => void
  readonly reject: (error: Error) => void
}

/**
 * One connection to one server, opened at once. Requests are sent without waiting for the answers to earlier ones, and
 * are numbered: the server answers in their order, and repeats the number.
 */
export class Connection {
  /** How many pieces have been received: a server that is alive makes it count. */
  received = 0
  /**
   * The server's limit for one item, all told: its value, its key and what the server itself needs. Known once a request
   * was answered. Another connection may lead to a server that was restarted with another limit.
   */
  itemBytes: number | undefined
  /** Whether nothing can be sent any more. */
  isOver = false
  readonly #name: string
  readonly #socket: Socket
  readonly #reader = new AnswerReader()
  readonly #unanswered: Request[] = []
  /** What a call is told as long as there is no answer. */
  readonly #silence: Error
  #nextOpaque = FIRST_OPAQUE
  /** The earliest of the calls for which something was sent since the last piece came. */
  #firstDeadline = Number.POSITIVE_INFINITY

  constructor(server: MemjsServer) {
    this.#name = nameOf(server)
    this.#silence = new Error(`${this.#name} has not answered`)
    this.#socket = openSocket(server)
      .on('data', (piece: Buffer) => this.#onData(piece))
      .on('error', (error) => this.end(new TryAgain(error)))
      .on('end', () => this.end(new TryAgain(new Error(`${this.#name} closed the connection`))))
      .on('close', () => this.end(new TryAgain(new Error(`the connection to ${this.#name} is closed`))))
    const logIn = logInCommand(server)
    // Neither is waited for: what is sent behind a log-in that is refused is refused, too.
    if (logIn) this.#socket.write(encode([logIn], LOG_IN_OPAQUE))
    this.#socket.write(encode([{ opcode: Opcode.stat, key: 'settings' }], SETTINGS_OPAQUE))
  }

  /** Whether requests wait for their answers. */
  get isBusy(): boolean {
    return this.#unanswered.length > 0
  }

  /** Whether core has given a request up, and nothing at all has come since it was sent: the line may be dead. */
  get isSilent(): boolean {
    if (performance.now() <= this.#firstDeadline) return false
    return this.#unanswered.some(({ call, receivedBefore }) => receivedBefore === this.received && isOver(call))
  }

  /**
   * Sends the commands in one piece. Answers what the server answers to them, in their order: nothing to a quiet get that
   * found nothing, several to `stat`. The last command must be one that is always answered, once.
   * @throws TryAgain when the connection breaks
   */
  send(commands: readonly Command[], call: Call): Promise<Answer[]> {
    return new Promise((resolve, reject) => {
      // Nothing more is sent for a call that core has given up between two steps.
      if (isOver(call)) throw call.signal.reason
      if (this.#nextOpaque > LAST_OPAQUE - commands.length) this.#nextOpaque = FIRST_OPAQUE
      const firstOpaque = this.#nextOpaque
      this.#nextOpaque += commands.length
      this.#unanswered.push({
        call,
        firstOpaque,
        lastOpaque: this.#nextOpaque - 1,
        answers: [],
        receivedBefore: this.received,
        resolve,
        reject,
      })
      this.#firstDeadline = Math.min(this.#firstDeadline, call.deadline)
      if (call.attempt === 1) call.note(this.#silence) // later there is a better reason
      this.#socket.write(encode(commands, firstOpaque))
    })
  }

  /** Gives the connection up, and fails what waits for an answer with this error. */
  end(error: Error): void {
    if (this.isOver) return
    this.isOver = true
    const requests = this.#unanswered.splice(0)
    // What was not answered is sent again elsewhere, and must not arrive from here later.
    if (requests.length > 0 && isConnectedTcp(this.#socket)) this.#socket.resetAndDestroy()
    else this.#socket.destroy()
    for (const { reject } of requests) reject(error)
  }

  #onData(piece: Buffer): void {
    if (this.isOver) return
    this.received += 1
    this.#firstDeadline = Number.POSITIVE_INFINITY
    try {
      for (const answer of this.#reader.read(piece)) this.#onAnswer(answer)
    } catch (error) {
      this.end(new TryAgain(new Error(`${this.#name} cannot be understood: ${(error as Error).message}`)))
    }
  }

  #onAnswer(answer: Answer): void {
    if (answer.status === Status.notLoggedIn) {
      this.end(new Error(`${this.#name} refused the log-in: check the username and password of the memjs client`))
    }
    if (this.isOver || answer.opaque === LOG_IN_OPAQUE) return
    if (answer.opaque === SETTINGS_OPAQUE) {
      if (answer.key === 'item_size_max') this.itemBytes = Number(answer.value)
      return
    }
    this.itemBytes ||= DEFAULT_ITEM_BYTES
    const request = this.#unanswered[0]
    if (request === undefined || answer.opaque < request.firstOpaque || answer.opaque > request.lastOpaque) {
      throw new Error('it answered what nobody asked')
    }
    answer.command = answer.opaque - request.firstOpaque
    request.answers.push(answer)
    if (answer.opaque < request.lastOpaque) return
    this.#unanswered.shift()
    request.resolve(request.answers)
  }
}

/** Asks for the signal, which is made when first asked for, only where it is likely to be aborted. */
function isOver(call: Call): boolean {
  return performance.now() > call.deadline && call.signal.aborted
}

function isConnectedTcp(socket: Socket): boolean {
  return !socket.connecting && !socket.destroyed && socket.remotePort !== undefined
}
