import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { FastifyInstance } from 'fastify'

export interface AppFigures {
  requests: number
  /** CPU time of this process, in µs. */
  cpu: number
  /** The 99th percentile of how long the event loop kept a timer waiting, in ms. */
  eventLoopDelay: number
}

/** What requests cost the process that answers them. */
export class Meter {
  #requests = 0
  #cpu = process.cpuUsage()
  readonly #delay = monitorEventLoopDelay({ resolution: 5 })

  constructor(app: FastifyInstance) {
    app.server.on('request', () => {
      this.#requests += 1
    })
  }

  start(): void {
    globalThis.gc?.()
    this.#delay.reset()
    this.#delay.enable()
    this.#requests = 0
    this.#cpu = process.cpuUsage()
  }

  stop(): AppFigures {
    const { user, system } = process.cpuUsage(this.#cpu)
    this.#delay.disable()
    return { requests: this.#requests, cpu: user + system, eventLoopDelay: this.#delay.percentile(99) / 1e6 }
  }
}
