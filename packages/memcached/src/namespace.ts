import { randomBytes } from 'node:crypto'
import type { Call } from '@session-stores/core'
import type { CasToken } from './cas-tokens.ts'
import { type Answer, type Command, Opcode, Status, unexpected } from './protocol.ts'
import type { Server } from './server.ts'

const GENERATION_BYTES = 16
const NOOP: Command = { opcode: Opcode.noop }

/** The answer to a command on an item, and the generation the item belongs to. */
export interface ItemAnswer extends Answer {
  generation: string
}

/** What is stored under a key, whether it can be read or not. */
export interface Found extends CasToken {
  text: string
}

/**
 * The records of one store on one server. Memcached can neither list keys nor delete by prefix, so the keys contain a
 * generation, a random name that the server keeps under a key of its own: with a new generation all the old records
 * are out of reach, in every process, and the server drops them as they expire or as it needs the room.
 *
 * Every request reads the generation together with what it came for, so that costs no round trip, and no process ever
 * trusts what it remembers: when that is outdated, its command went to a key that nobody reads, and is sent again.
 * Where the generation is gone (evicted, or the server was restarted), so are the records: the next one written makes a
 * new generation. Nothing revives an old one: each attempt to make one takes another random name.
 *
 * A generation never spans a restart of its server, and within one life of the server no cas comes twice.
 */
export class Namespace {
  readonly server: Server
  readonly #prefix: string
  readonly #readGeneration: Command
  /** As last seen on the server: null when it had none, undefined before it was asked. */
  #generation: string | null | undefined

  constructor(server: Server, prefix: string) {
    this.server = server
    this.#prefix = prefix
    this.#readGeneration = { opcode: Opcode.getQuietly, key: `${prefix}generation` }
  }

  /**
   * Runs one command on the item of this key. Answers undefined when the server has no generation, and therefore no
   * record.
   * @param within the only generation in which the command makes sense; answers undefined when it is over
   */
  async run(key: string, command: Command, call: Call, within?: string): Promise<ItemAnswer | undefined> {
    for (;;) {
      const remembered = this.#generation
      const supposed = within ?? remembered
      const onItem = supposed ? { ...command, key: this.#itemKey(supposed, key) } : NOOP
      const answers = await this.server.connection().send([this.#readGeneration, onItem], call)
      const generation = this.#generationIn(answers, remembered)
      if (generation === undefined) return undefined
      if (generation === supposed) return { ...(answers[1] as Answer), generation }
      if (within !== undefined) return undefined
    }
  }

  async find(key: string, call: Call): Promise<Found | undefined> {
    const answer = await this.run(key, { opcode: Opcode.get }, call)
    if (answer === undefined || answer.status === Status.notFound) return undefined
    if (answer.status !== Status.ok) throw unexpected(answer)
    return { generation: answer.generation, cas: answer.cas, text: answer.value }
  }

  /** Runs an ADD for this key. Where there is no generation, one is begun in the same round trip. */
  async add(key: string, command: Command, call: Call): Promise<ItemAnswer> {
    for (;;) {
      const answer =
        this.#generation === null ? await this.#begin(key, command, call) : await this.run(key, command, call)
      if (answer) return answer
    }
  }

  /** What the server says of itself, by name. */
  async stats(call: Call): Promise<ReadonlyMap<string, string>> {
    const answers = await this.server.connection().send([{ opcode: Opcode.stat }, NOOP], call)
    return new Map(answers.map(({ key, value }) => [key, value]))
  }

  /** Puts every record that there is out of reach. */
  async renew(call: Call): Promise<void> {
    const [answer] = await this.server.connection().send([this.#storeGeneration(Opcode.set, newGeneration())], call)
    if (answer?.status !== Status.ok) throw unexpected(answer as Answer)
  }

  /** Resolves when the server answers; then a first call needs no round trip more to learn the generation. */
  async ping(call: Call, signal: AbortSignal): Promise<void> {
    const remembered = this.#generation
    this.#generationIn(await this.server.ping([this.#readGeneration, NOOP], call, signal), remembered)
  }

  /** How long the key of an item is on the server. */
  itemKeyBytes(key: string): number {
    return this.#prefix.length + GENERATION_BYTES + 1 + Buffer.byteLength(key)
  }

  /** The server's limit for one item, see `Connection`. */
  async itemBytes(call: Call): Promise<number> {
    for (;;) {
      const connection = this.server.connection()
      if (connection.itemBytes !== undefined) return connection.itemBytes
      const remembered = this.#generation
      this.#generationIn(await connection.send([this.#readGeneration, NOOP], call), remembered)
    }
  }

  /** Answers undefined when another process has begun a generation at the same moment: then the ADD went where nobody looks. */
  async #begin(key: string, command: Command, call: Call): Promise<ItemAnswer | undefined> {
    const generation = newGeneration()
    const onItem = { ...command, key: this.#itemKey(generation, key) }
    const sent = this.server.connection().send([this.#storeGeneration(Opcode.add, generation), onItem], call)
    this.#generation = generation // already, for requests that are sent behind this one
    const [begun, added] = (await sent) as [Answer, Answer]
    if (begun.status === Status.ok) {
      this.#checkCas(begun)
      return { ...added, generation }
    }
    if (begun.status !== Status.exists) throw unexpected(begun)
    this.#generation = undefined
    return undefined
  }

  /**
   * The generation that the server has, by its answer to the first of several commands.
   * @param remembered when the commands were sent; what was found out since is newer than this answer
   */
  #generationIn(answers: Answer[], remembered: string | null | undefined): string | undefined {
    const found = answers[0]?.command === 0 ? answers[0] : undefined
    if (found && found.status !== Status.ok) throw unexpected(found)
    if (found) this.#checkCas(found)
    if (this.#generation === remembered) this.#generation = found?.value ?? null
    return found?.value
  }

  #checkCas({ cas }: Answer): void {
    if (cas === 0n) throw new Error(`${this.server.name} must run with compare-and-swap: without the option -C`)
  }

  /** The only items that do not expire: one a store and server, of some 80 bytes. */
  #storeGeneration(opcode: number, value: string): Command {
    return { opcode, key: this.#readGeneration.key as string, value, exptime: 0 }
  }

  #itemKey(generation: string, key: string): string {
    return `${this.#prefix}${generation}:${key}`
  }
}

function newGeneration(): string {
  return randomBytes((GENERATION_BYTES * 3) / 4).toString('base64url')
}
