import type { AddressInfo } from 'node:net'
import { buildApp, Gate, type PluginStore } from '@session-stores/testing'
import type { FastifyInstance } from 'fastify'
import type { Store } from '../contestants/contestant.ts'

export interface CasesOptions {
  /** Of the session's cookie, in ms. */
  maxAge: number
}

/**
 * The application that the tests of this repository send their requests to. What begins with `/slow` waits at the gate once
 * its session is loaded.
 */
export class CasesApp {
  readonly gate = new Gate()
  readonly #app: FastifyInstance

  constructor(store: Store, { maxAge }: CasesOptions) {
    this.#app = buildApp(store as unknown as PluginStore, this.gate, { cookie: { secure: false, maxAge } })
    this.#app.get('/no-session', async () => 'ok')
    this.#app.post<{ Params: { bytes: string } }>('/grow/:bytes', async (request) => {
      request.session.set('text' as never, 'x'.repeat(Number(request.params.bytes)) as never)
      return 'ok'
    })
  }

  async listen(): Promise<number> {
    await this.#app.listen({ host: '127.0.0.1', port: 0 })
    return (this.#app.server.address() as AddressInfo).port
  }
}
