import type { FastifyInstance } from 'fastify'

export interface Page {
  status: number
  headers: Headers
  text: string
}

interface Streamed {
  status: number
  headers: Headers
  body: ReadableStream<Uint8Array> | null
}

type Send = (method: string, path: string, headers: Record<string, string>, body?: string) => Promise<Page>

/** A browser without eyes: keeps cookies, and fills in the token of the forms it sends. */
export class Visitor {
  readonly cookies = new Map<string, string>()
  /** Sent along with each request. */
  headers: Record<string, string> = {}
  readonly #send: Send
  readonly #origin: string | undefined

  constructor(send: Send, origin?: string) {
    this.#send = send
    this.#origin = origin
  }

  /** Straight into the application, without a socket. */
  static inside(app: FastifyInstance): Visitor {
    return new Visitor(async (method, url, headers, payload) => {
      const answer = await app.inject({
        method: method as 'GET',
        url,
        headers,
        ...(payload === undefined ? {} : { payload }),
      })
      const pairs = Object.entries(answer.headers).flatMap(([name, value]) =>
        [value].flat().map((one): [string, string] => [name, String(one)]),
      )
      return { status: answer.statusCode, headers: new Headers(pairs), text: answer.body }
    })
  }

  /** Over the network to `origin`. */
  static at(origin: string): Visitor {
    return new Visitor(async (method, path, headers, body) => {
      const answer = await fetch(origin + path, {
        method,
        headers,
        redirect: 'manual',
        ...(body === undefined ? {} : { body }),
      })
      return { status: answer.status, headers: answer.headers, text: await answer.text() }
    }, origin)
  }

  /** The answer as it comes. Over the network only. */
  async open(path: string): Promise<Streamed> {
    if (!this.#origin) throw new Error('only over the network')
    return fetch(this.#origin + path, { headers: this.#headers(), redirect: 'manual' })
  }

  async get(path: string): Promise<Page> {
    return this.#request('GET', path)
  }

  /** Opens `from`, takes the token out of its form, and sends the form. */
  async submit(from: string, path: string, fields: Record<string, string> = {}): Promise<Page> {
    const { text } = await this.get(from)
    return this.post(path, { _csrf: tokenOf(text), ...fields })
  }

  /** Sends these fields and no others. */
  async post(path: string, fields: Record<string, string>): Promise<Page> {
    const type = { 'content-type': 'application/x-www-form-urlencoded' }
    return this.#request('POST', path, type, new URLSearchParams(fields).toString())
  }

  signUp(name: string, password: string): Promise<Page> {
    return this.submit('/signup', '/signup', { name, password })
  }

  logIn(name: string, password: string): Promise<Page> {
    return this.submit('/login', '/login', { name, password })
  }

  logOut(): Promise<Page> {
    return this.submit('/', '/logout')
  }

  /** Whether the server takes this visitor for somebody who is logged in. */
  async isLoggedIn(): Promise<boolean> {
    const { status } = await this.get('/profile')
    if (status !== 200 && status !== 303) throw new Error(`/profile answered ${status}`)
    return status === 200
  }

  /** Somebody who has this visitor's cookies as they are now: a thief, or the same browser after a restart of the demo. */
  copy(app?: FastifyInstance): Visitor {
    const other = app ? Visitor.inside(app) : new Visitor(this.#send)
    for (const [name, value] of this.cookies) other.cookies.set(name, value)
    other.headers = { ...this.headers }
    return other
  }

  async #request(method: string, path: string, headers: Record<string, string> = {}, body?: string): Promise<Page> {
    const page = await this.#send(method, path, { ...this.#headers(), ...headers }, body)
    for (const line of page.headers.getSetCookie()) this.#keep(line)
    return page
  }

  #headers(): Record<string, string> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    return { ...this.headers, ...(cookie ? { cookie } : {}) }
  }

  #keep(line: string): void {
    const [, name = '', value = '', rest = ''] = /^([^=]+)=([^;]*)(.*)$/.exec(line) ?? []
    const expires = /expires=([^;]+)/i.exec(rest)?.[1]
    if (expires && new Date(expires).getTime() <= Date.now()) this.cookies.delete(name)
    else this.cookies.set(name, value)
  }
}

/** The token of the first form on a page. */
export function tokenOf(text: string): string {
  const token = /name="_csrf" value="([^"]+)"/.exec(text)?.[1]
  if (!token) throw new Error(`no form on this page: ${text}`)
  return token
}
