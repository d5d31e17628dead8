import { type Agent, request } from 'node:http'
import { STALLED_HEADER } from '../app/config.ts'

/** After so many ms without an answer a request counts as hanging. */
const LONGEST_REQUEST = 20_000

export interface Answer {
  /** The status code; 0 when the connection broke, or nothing answered for 20 s. */
  status: number
  body: string
  /** How long the application's event loop has stood still since its process began, in ms; undefined when it did not say. */
  stalled: number | undefined
  /** What the browser sends from now on, when the answer set it. */
  cookie: string | undefined
}

/** Sends a request to an application on this machine, as a browser with this cookie does. Never rejects. */
export function send(
  to: { port: number; agent: Agent },
  method: 'GET' | 'POST',
  path: string,
  cookie?: string,
): Promise<Answer> {
  return new Promise((resolve) => {
    const options = {
      ...{ host: '127.0.0.1', port: to.port, agent: to.agent, method, path },
      ...{ headers: cookie === undefined ? {} : { cookie }, signal: AbortSignal.timeout(LONGEST_REQUEST) },
    }
    const broken = (error: Error) => resolve({ status: 0, body: error.message, stalled: undefined, cookie: undefined })
    const outgoing = request(options, (incoming) => {
      let body = ''
      incoming.setEncoding('utf8')
      incoming.on('data', (chunk) => {
        body += chunk
      })
      incoming.on('error', broken)
      incoming.on('end', () => {
        const set = incoming.headers['set-cookie']?.[0]?.split(';', 1)[0]
        const { [STALLED_HEADER]: stalled } = incoming.headers
        resolve({
          status: incoming.statusCode ?? 0,
          body,
          stalled: stalled === undefined ? undefined : Number(stalled),
          cookie: set,
        })
      })
    })
    outgoing.on('error', broken)
    outgoing.end()
  })
}

/** The session's id in a cookie of the plugin: what stands before the signature. */
export function idIn(cookie: string): string {
  return decodeURIComponent(cookie.slice(cookie.indexOf('=') + 1)).split('.', 1)[0] ?? ''
}
