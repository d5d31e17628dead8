/** What a user sees: keeps the session's cookie, and waits for an answer no longer than so. */
export class Browser {
  /** As it is sent. */
  cookie: string | undefined
  readonly #origin: string

  constructor(port: number, cookie?: string) {
    this.#origin = `http://127.0.0.1:${port}`
    this.cookie = cookie
  }

  /** Another with the same cookie: another tab. */
  tab(): Browser {
    return new Browser(Number(new URL(this.#origin).port), this.cookie)
  }

  get(path: string): Promise<Answer> {
    return this.#request('GET', path)
  }

  post(path: string): Promise<Answer> {
    return this.#request('POST', path)
  }

  /** The session's id, of which the cookie is the signed form. */
  get sessionId(): string {
    const value = decodeURIComponent(this.cookie?.split('=')[1] ?? '')
    return value.slice(0, value.lastIndexOf('.'))
  }

  async #request(method: string, path: string): Promise<Answer> {
    const headers: Record<string, string> = this.cookie ? { cookie: this.cookie } : {}
    const begun = performance.now()
    try {
      const response = await fetch(`${this.#origin}${path}`, { method, headers, signal: AbortSignal.timeout(PATIENCE) })
      const text = await response.text()
      for (const line of response.headers.getSetCookie()) this.cookie = line.split(';', 1)[0]
      return { status: response.status, text, ms: performance.now() - begun }
    } catch {
      return { status: undefined, text: '', ms: performance.now() - begun }
    }
  }
}

/** How long a user waits for an answer, in ms. */
export const PATIENCE = 10_000

export interface Answer {
  /** Undefined when there was no answer. */
  status: number | undefined
  text: string
  ms: number
}

/** Whether the session is logged in. */
export async function isLoggedIn(browser: Browser): Promise<boolean> {
  return userIn(await browser.tab().get('/me')) === 'ada'
}

export function userIn({ status, text }: Answer): unknown {
  return status === 200 ? JSON.parse(text).user : undefined
}
