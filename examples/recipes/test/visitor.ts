import type { FastifyInstance, LightMyRequestResponse } from 'fastify'

export const SECRET = 'a secret of the tests, of at least 32 characters'

/** Keeps cookies, as a browser does. */
export class Visitor {
  readonly #app: FastifyInstance
  readonly cookies: Record<string, string>
  readonly #headers: Record<string, string>

  /** @param headers sent with each request */
  constructor(app: FastifyInstance, cookies: Record<string, string> = {}, headers: Record<string, string> = {}) {
    this.#app = app
    this.cookies = { ...cookies }
    this.#headers = headers
  }

  get(url: string): Promise<LightMyRequestResponse> {
    return this.#send('GET', url)
  }

  post(url: string, payload: object = {}): Promise<LightMyRequestResponse> {
    return this.#send('POST', url, payload)
  }

  /** Another one with the same cookies, such as a thief. */
  copy(): Visitor {
    return new Visitor(this.#app, this.cookies, this.#headers)
  }

  /** The header `Cookie`. */
  get header(): string {
    return Object.entries(this.cookies)
      .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      .join('; ')
  }

  async #send(method: 'GET' | 'POST', url: string, payload?: object): Promise<LightMyRequestResponse> {
    const body = payload && { payload }
    const answer = await this.#app.inject({ method, url, cookies: this.cookies, headers: this.#headers, ...body })
    for (const { name, value, expires, maxAge } of answer.cookies) {
      if (maxAge === 0 || (expires && expires.getTime() < Date.now())) delete this.cookies[name]
      else this.cookies[name] = value
    }
    return answer
  }
}
