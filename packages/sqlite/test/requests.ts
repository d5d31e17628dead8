/** What an application answered: its body as JSON where it is that, and the session cookie that it has set, if any. */
export interface Answer {
  status: number
  body: unknown
  cookie: string | undefined
}

/** @param cookie as an answer had it */
export async function request(address: string, method: string, path: string, cookie?: string): Promise<Answer> {
  const response = await fetch(address + path, { method, headers: cookie ? { cookie } : {} })
  const text = await response.text()
  const [set] = response.headers.getSetCookie()
  const isJson = response.headers.get('content-type')?.startsWith('application/json')
  return { status: response.status, body: isJson ? JSON.parse(text) : text, cookie: set?.split(';', 1)[0] }
}
