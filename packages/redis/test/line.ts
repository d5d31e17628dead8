import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** The line between a client and a server, as a proxy on loopback: it can go dead, and lose what the server answers. */
export class Line implements AsyncDisposable {
  readonly port: number
  readonly #close: () => Promise<void>
  readonly #sockets = new Set<Socket>()
  readonly #dead = new Set<Socket>()
  #swallows = false
  #losesAnswerTo: string | undefined

  static async to({ port }: { port: number }): Promise<Line> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const line = new Line((server.address() as AddressInfo).port, async () => {
      server.close()
      await once(server, 'close')
    })
    server.on('connection', (socket) => line.#join(socket, port))
    return line
  }

  private constructor(port: number, close: () => Promise<void>) {
    this.port = port
    this.#close = close
  }

  /** The connections there are stay open, and nothing goes over them any more. New ones work. */
  goDead(): void {
    for (const socket of this.#sockets) this.#dead.add(socket)
  }

  /** As `goDead`, and new connections are taken and never answered either. */
  swallowAll(): void {
    this.#swallows = true
    this.goDead()
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

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await this.#close()
  }

  #join(client: Socket, port: number): void {
    if (this.#swallows) this.#dead.add(client)
    const server = connect(port, '127.0.0.1')
    let answersLost = false
    this.#sockets.add(client)
    for (const socket of [client, server]) socket.on('error', () => {})
    client.on('data', (chunk) => {
      if (this.#dead.has(client)) return
      if (this.#losesAnswerTo !== undefined && chunk.includes(this.#losesAnswerTo)) {
        this.#losesAnswerTo = undefined
        answersLost = true
      }
      server.write(chunk)
    })
    server.on('data', (chunk) => {
      if (answersLost) client.destroy()
      else if (!this.#dead.has(client)) client.write(chunk)
    })
    client.on('close', () => {
      this.#sockets.delete(client)
      server.destroy()
    })
    server.on('close', () => {
      if (!this.#dead.has(client)) client.destroy()
    })
  }
}
