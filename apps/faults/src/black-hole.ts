import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'

/** How many connections Linux takes for a queue of length 1. */
const QUEUE = 2

// It listens, and then never comes back to its event loop to take a connection.
const listener = `
  const { parentPort, workerData: { port, over } } = require('node:worker_threads')
  const server = require('node:net').createServer().listen({ port, host: '127.0.0.1', backlog: 1 })
  server.on('listening', () => {
    parentPort.postMessage('listening')
    setImmediate(() => {
      Atomics.wait(over, 0, 0)
      process.exit()
    })
  })
  server.on('error', (error) => { throw error })
`

/** A port whose queue is full: the kernel drops what is sent to open a connection to it. */
export class BlackHole {
  readonly #over: Int32Array
  readonly #worker: Worker
  readonly #queued: Socket[]

  private constructor(over: Int32Array, worker: Worker, queued: Socket[]) {
    this.#over = over
    this.#worker = worker
    this.#queued = queued
  }

  static async open(port: number): Promise<BlackHole> {
    const over = new Int32Array(new SharedArrayBuffer(4))
    const worker = new Worker(listener, { eval: true, workerData: { port, over } })
    await once(worker, 'message')
    const queued = Array.from({ length: QUEUE }, () => connect(port, '127.0.0.1').on('error', () => {}))
    await Promise.all(queued.map((socket) => once(socket, 'connect')))
    return new BlackHole(over, worker, queued)
  }

  async close(): Promise<void> {
    const gone = once(this.#worker, 'exit')
    Atomics.store(this.#over, 0, 1)
    Atomics.notify(this.#over, 0)
    await gone
    for (const socket of this.#queued) socket.destroy()
  }
}
