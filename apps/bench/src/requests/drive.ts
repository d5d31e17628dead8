import { createHistogram } from 'node:perf_hooks'
import { Client } from 'undici'

export type Load = 'reads' | 'a tenth writes' | 'writes' | 'log-ins'

export interface DriveJob {
  port: number
  load: Load
  /** Of sessions that are logged in: each connection uses its own, one after the other. */
  cookies: string[]
  connections: number
  /** When it ends. */
  until: { ms: number } | { requests: number }
  /** Of a session that is made by a log-in. */
  bytes: number
}

export interface DriveFigures {
  requests: number
  perSecond: number
  /** In ms. */
  p50: number
  p99: number
}

/** Sends requests over some connections, on each the next as soon as the last was answered. */
export async function drive({ port, load, cookies, connections, until, bytes }: DriveJob): Promise<DriveFigures> {
  const latencies = createHistogram()
  const begun = performance.now()
  let sent = 0
  const goOn = 'ms' in until ? () => performance.now() < begun + until.ms : () => sent < until.requests
  await Promise.all(
    Array.from({ length: connections }, async (_, n) => {
      const own = cookies.filter((_, index) => index % connections === n)
      const client = new Client(`http://127.0.0.1:${port}`)
      for (let turn = 0; goOn(); turn += 1) {
        sent += 1
        const path = pathOf(load, turn, bytes)
        const asked = performance.now()
        await request(client, path, load === 'log-ins' ? undefined : own[turn % own.length])
        latencies.record(Math.max(1, Math.round((performance.now() - asked) * 1000)))
      }
      await client.close()
    }),
  )
  const seconds = (performance.now() - begun) / 1000
  return {
    requests: sent,
    perSecond: sent / seconds,
    p50: latencies.percentile(50) / 1000,
    p99: latencies.percentile(99) / 1000,
  }
}

/** Logs in so many users, and answers their cookies. */
export async function logIn({ port, users, bytes }: { port: number; users: number; bytes: number }): Promise<string[]> {
  const client = new Client(`http://127.0.0.1:${port}`)
  const cookies: string[] = []
  for (let n = 0; n < users; n += 1) cookies.push(await request(client, `/log-in?bytes=${bytes}`, undefined))
  await client.close()
  return cookies
}

function pathOf(load: Load, turn: number, bytes: number): string {
  if (load === 'log-ins') return `/log-in?bytes=${bytes}`
  return load === 'writes' || (load === 'a tenth writes' && turn % 10 === 9) ? '/change' : '/read'
}

/** Answers the cookie that came with the answer. By `dispatch`, which costs the driver of the load least. */
function request(client: Client, path: string, cookie: string | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    let set = ''
    client.dispatch(
      { path, method: 'GET', headers: cookie ? { cookie } : {} },
      {
        onRequestStart: () => {},
        onResponseStart: (_, status, headers) => {
          if (status !== 200) reject(new Error(`${path} was answered with ${status}`))
          set = String(headers['set-cookie'] ?? '').split(';', 1)[0] ?? ''
        },
        onResponseData: () => {},
        onResponseEnd: () => resolve(set),
        onResponseError: (_, error) => reject(error),
      },
    )
  })
}
