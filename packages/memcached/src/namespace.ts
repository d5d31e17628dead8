import { randomBytes } from 'node:crypto'
import type { Call } from '@session-stores/core'
import type { CasToken } from './cas-tokens.ts'
import { type Answer, type Command, Opcode, Status, unexpected } from './protocol.ts'
import type { Server } from './server.ts'

const GENERATION_BYTES = 16
/** What the server needs for an item besides key and value: its header, the cas and some terminators, generously. */
const ITEM_OVERHEAD = 80
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

  /** The generation that the server had when it was asked last; undefined when it had none, or was not asked yet. */
  get generation(): string | undefined {
    return this.#generation ?? undefined
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

  /** What is stored under each of these keys. Where the server cannot answer for one, its place holds the error. */
  async findMany(keys: readonly string[], call: Call): Promise<Array<Found | Error | undefined>> {
    for (;;) {
      const remembered = this.#generation
      const commands: Command[] = [this.#readGeneration]
      if (remembered) {
        for (const key of keys) commands.push({ opcode: Opcode.getQuietly, key: this.#itemKey(remembered, key) })
      }
      commands.push(NOOP)
      const answers = await this.server.connection().send(commands, call)
      const generation = this.#generationIn(answers, remembered)
      const found: Array<Found | Error | undefined> = new Array(keys.length).fill(undefined)
      if (generation === undefined) return found
      if (generation !== remembered) continue
      for (const answer of answers) {
        const isFound = answer.status === Status.ok
        if (answer.command > 0 && answer.command <= keys.length) {
          const { cas, value: text } = answer
          found[answer.command - 1] = isFound ? { generation, cas, text } : unexpected(answer)
        }
      }
      return found
    }
  }

  /**
   * Runs commands, each on the item of its key, in one packet; each must be one that is always answered. Answers undefined
   * when the server has another generation, in which they make no sense.
   */
  async runMany(
    within: string,
    steps: ReadonlyArray<{ key: string; command: Command }>,
    call: Call,
  ): Promise<ItemAnswer[] | undefined> {
    const remembered = this.#generation
    const commands = [this.#readGeneration]
    for (const { key, command } of steps) commands.push({ ...command, key: this.#itemKey(within, key) })
    const answers = await this.server.connection().send(commands, call)
    if (this.#generationIn(answers, remembered) !== within) return undefined
    return answers.slice(1).map((answer) => ({ ...answer, generation: within }))
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

  /** How many bytes the server takes for the text under this key; undefined before it has told. */
  textBytes(key: string): number | undefined {
    const { itemBytes } = this.server.connection()
    if (itemBytes === undefined) return undefined
    const keyBytes = this.#prefix.length + GENERATION_BYTES + 1 + Buffer.byteLength(key)
    return itemBytes - keyBytes - ITEM_OVERHEAD
  }

  /** The same once the server has told. */
  async askTextBytes(key: string, call: Call): Promise<number> {
    for (;;) {
      const bytes = this.textBytes(key)
      if (bytes !== undefined) return bytes
      const remembered = this.#generation
      this.#generationIn(await this.server.connection().send([this.#readGeneration, NOOP], call), remembered)
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
