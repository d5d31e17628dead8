import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** One connection through the proxy. */
interface Link {
  client: Socket
  server: Socket
  /** Nothing goes over it any more, though it stays open. */
  isSilent: boolean
  /** What the server has answered and the client has not got; undefined when answers pass. */
  held: Buffer[] | undefined
  losesAnswers: boolean
}

/** A proxy on loopback between a client and a server: connections can go silent, and answers get lost or come late. */
export class FaultyProxy implements AsyncDisposable {
  /** Where new connections lead to. */
  target: { port: number }
  readonly #listener: Server
  readonly #links = new Set<Link>()
  #swallows = false
  #losesAnswerTo: string | undefined

  static async to(target: { port: number }): Promise<FaultyProxy> {
    const listener = createServer().listen(0, '127.0.0.1')
    await once(listener, 'listening')
    return new FaultyProxy(listener, target)
  }

  private constructor(listener: Server, target: { port: number }) {
    this.#listener = listener
    this.target = target
    listener.on('connection', (client) => this.#link(client))
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port
  }

  /** How many connections are open. */
  get size(): number {
    return this.#links.size
  }

  /** The connections there are stay open, and nothing goes over them any more. New ones work. */
  goSilent(): void {
    for (const link of this.#links) link.isSilent = true
  }

  /** As `goSilent`, and new connections are taken and never answered either. */
  swallowAll(): void {
    this.#swallows = true
    this.goSilent()
  }

  /** New connections work again. */
  mend(): void {
    this.#swallows = false
  }

  /** The server gets the next request with this word in it, but the connection breaks before the client has the answer. */
  loseAnswerTo(word: string): void {
    this.#losesAnswerTo = word
  }

  get hasLostAnswer(): boolean {
    return this.#losesAnswerTo === undefined
  }

  /** What the server answers over the connections there are does not arrive until `release`. New ones work. */
  holdAnswers(): void {
    for (const link of this.#links) link.held ??= []
  }

  release(): void {
    for (const link of this.#links) {
      for (const chunk of link.held ?? []) link.client.write(chunk)
      link.held = undefined
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { client } of this.#links) client.destroy()
    this.#listener.close()
    await once(this.#listener, 'close')
  }

  #link(client: Socket): void {
    const server = connect(this.target.port, '127.0.0.1')
    const link: Link = { client, server, isSilent: this.#swallows, held: undefined, losesAnswers: false }
    this.#links.add(link)
    for (const socket of [client, server]) socket.on('error', () => {})
    client.on('data', (chunk) => {
      if (link.isSilent) return
      if (this.#losesAnswerTo !== undefined && chunk.includes(this.#losesAnswerTo)) {
        this.#losesAnswerTo = undefined
        link.losesAnswers = true
      }
      server.write(chunk)
    })
    server.on('data', (chunk) => {
      if (link.losesAnswers) client.destroy()
      else if (link.held) link.held.push(chunk)
      else if (!link.isSilent) client.write(chunk)
    })
    client.on('close', () => {
      this.#links.delete(link)
      server.destroy()
    })
    server.on('close', () => {
      if (!link.isSilent) client.destroy()
    })
  }
}
