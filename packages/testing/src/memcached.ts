import { once } from 'node:events'
import { connect } from 'node:net'
import { freePort, ServerProcess, until } from './process.ts'

/** What ends an answer of the text protocol. */
const LAST_LINE = /^(END|OK|STORED|NOT_STORED|DELETED|NOT_FOUND|VERSION.*|HD.*|EN|NF|ERROR|\w+_ERROR .*)\r\n$/m

/** A memcached of the tests' own on a free port of loopback. */
export class MemcachedServer {
  readonly port: number
  /** As on its command line; what they are set to counts from the next start. */
  options: readonly string[]
  readonly #env: NodeJS.ProcessEnv
  #process: ServerProcess | undefined

  /** @param options as on its command line: `'-m', '64'` */
  static async start(...options: string[]): Promise<MemcachedServer> {
    const server = new MemcachedServer(await freePort(), options)
    await server.start()
    return server
  }

  constructor(port: number, options: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.port = port
    this.options = options
    this.#env = env
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** Starts it, also again after it was stopped: then it is empty. Resolves when it takes connections. */
  async start(): Promise<void> {
    const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
    const where = ['-l', '127.0.0.1', '-p', `${this.port}`, '-U', '0', '-t', '2']
    const server = new ServerProcess('memcached', [...where, ...user, ...this.options], { env: this.#env })
    this.#process = server
    await until(`memcached on port ${this.port}`, async () => {
      if (!server.alive) throw new Error(server.output)
      const socket = connect(this.port, '127.0.0.1')
      await once(socket, 'connect')
      socket.destroy()
      return true
    })
  }

  /**
   * What it answers to a line of its text protocol, which shares nothing with the client under test: the lines up to the
   * one that ends the answer; '' when it says nothing for so many ms.
   */
  async ask(line: string, patience = 10_000): Promise<string> {
    const socket = connect(this.port, '127.0.0.1')
    socket.setEncoding('latin1')
    socket.write(`${line}\r\n`)
    return new Promise((resolve, reject) => {
      let answer = ''
      const end = () => {
        socket.destroy()
        resolve(answer)
      }
      socket.setTimeout(patience, end)
      socket.on('close', end)
      socket.on('error', reject)
      socket.on('data', (chunk) => {
        answer += chunk
        if (LAST_LINE.test(answer)) end()
      })
    })
  }

  /** One number of its `stats`. */
  async stat(name: string): Promise<number> {
    const found = new RegExp(`STAT ${name} (\\d+)`).exec(await this.ask('stats'))
    return Number(found?.[1])
  }

  /** The keys it holds, but for those in use at that moment. */
  async keys(): Promise<string[]> {
    // By its hash table: one by the lists of the LRU misses what moves from one to another meanwhile
    const dump = await this.ask('lru_crawler metadump hash')
    return [...dump.matchAll(/^key=(\S+)/gm)].map(([, key = '']) => decodeURIComponent(key))
  }

  /** In how many seconds it collects this key; -1 for never. */
  async secondsLeft(key: string): Promise<number> {
    return Number(/^HD t(-?\d+)/.exec(await this.ask(`mg ${key} t`))?.[1])
  }

  /** It keeps its connections and answers nothing; resolves when that is so. */
  async pause(): Promise<void> {
    this.#process?.pause()
    await until('memcached is stopped', async () => (await this.ask('version', 50)) === '')
  }

  resume(): void {
    this.#process?.resume()
  }

  /** `kill -9`; without a restart, for good. */
  async kill(): Promise<void> {
    await this.#process?.stop('SIGKILL')
  }

  async stop(): Promise<void> {
    await this.#process?.stop()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }
}
