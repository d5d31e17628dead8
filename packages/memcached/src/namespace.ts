import { randomBytes } from 'node:crypto'
import { type Command, Opcode, type Response, Status, unexpected } from './protocol.ts'
import type { Server } from './server.ts'

const GENERATION_BYTES = 16

/** What one item's command came to, and the generation in which. */
export interface Answer extends Response {
  generation: string
}

/**
 * The records of one store on one server. Memcached can neither list keys nor delete by prefix, so the keys contain a
 * generation, a random name that the server keeps under a key of its own: with a new generation all the old records
 * are out of reach, in every process, and the server drops them as they expire or as it needs the room.
 *
 * Every request reads the generation together with what it came for, so that costs no round trip, and no process ever
 * trusts what it remembers: when that is outdated, its command went to a key that nobody reads, and is sent again.
 * Where the generation is gone (evicted, or the server was restarted), so are the records: the next one written makes a
 * new generation. Nothing revives an old one.
 *
 * A generation never spans a restart of its server, and within one life of the server no cas comes twice.
 */
export class Namespace {
  readonly server: Server
  readonly #prefix: string
  readonly #generationKey: string
  /** As last seen on the server. */
  #generation: string | undefined

  constructor(server: Server, prefix: string) {
    this.server = server
    this.#prefix = prefix
    this.#generationKey = `${prefix}generation`
  }

  /** How long the key of an item is on the server. */
  itemKeyBytes(key: string): number {
    return this.#prefix.length + GENERATION_BYTES + 1 + Buffer.byteLength(key)
  }

  /**
   * Runs one command on the item of this key. Answers undefined when the server has no generation, and therefore no
   * record.
   * @param within the only generation in which the command makes sense; answers undefined when it is over
   */
  async run(key: string, command: Command, deadline: number, within?: string): Promise<Answer | undefined> {
    for (;;) {
      const supposed: string | undefined = within ?? this.#generation
      const onItem =
        supposed === undefined ? { opcode: Opcode.noop } : { ...command, key: `${this.#prefix}${supposed}:${key}` }
      const [found, answer] = await this.server.send([this.#readGeneration, onItem], deadline)
      if (found && found.status !== Status.ok) throw unexpected(found)
      if (found?.cas === 0n) {
        throw new Error(`${this.server.name} must run with compare-and-swap: without the option -C`)
      }
      const generation = found?.value.toString('latin1')
      this.#generation = generation
      if (generation === undefined) return undefined
      if (answer && generation === supposed) return { ...answer, generation }
      if (within !== undefined) return undefined
    }
  }

  /** Like `run`, for a command that makes a record: where there is no generation, one is begun. */
  async runAnyway(key: string, command: Command, deadline: number): Promise<Answer> {
    for (;;) {
      const answer = await this.run(key, command, deadline)
      if (answer) return answer
      await this.#begin(deadline)
    }
  }

  /** Puts every record that there is out of reach. */
  async renew(deadline: number): Promise<void> {
    const [answer] = await this.server.send([this.#storeGeneration(Opcode.set)], deadline)
    if (answer?.status !== Status.ok) throw unexpected(answer as Response)
  }

  /** Begins a generation, unless another process was faster. */
  async #begin(deadline: number): Promise<void> {
    const [answer] = await this.server.send([this.#storeGeneration(Opcode.add)], deadline)
    if (answer?.status !== Status.ok && answer?.status !== Status.exists) throw unexpected(answer as Response)
  }

  get #readGeneration(): Command {
    return { opcode: Opcode.getQuietly, key: this.#generationKey }
  }

  /** The only items that do not expire: one a store and server, of some 80 bytes. */
  #storeGeneration(opcode: number): Command {
    return { opcode, key: this.#generationKey, value: newGeneration, exptime: 0 }
  }
}

/** For a replay too: by then the first one may be in use and over, and the replay would bring it back. */
function newGeneration(): Buffer {
  return Buffer.from(randomBytes((GENERATION_BYTES * 3) / 4).toString('base64url'))
}
