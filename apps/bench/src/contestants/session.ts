import { hash } from 'node:crypto'
import type { StoredSession } from './contestant.ts'

/** A cookie as the plugin hands it to a store: with the getters that stores read. */
export class Cookie {
  originalMaxAge: number
  expires: Date

  /** @param maxAge in ms */
  constructor(maxAge: number) {
    this.originalMaxAge = maxAge
    this.expires = new Date(Date.now() + maxAge)
  }

  get maxAge(): number {
    return this.expires.getTime() - Date.now()
  }

  toJSON(): object {
    const { expires, originalMaxAge } = this
    return { expires, originalMaxAge, sameSite: 'lax', secure: false, path: '/', httpOnly: true }
  }
}

/** How long a session is to be kept, in ms. */
export function lifetimeOf(session: StoredSession): number {
  return (session.cookie as Cookie).maxAge
}

/**
 * A session after log-in, of about so many bytes of JSON: what an application knows of its user, and a basket that fills
 * up the rest.
 */
export function sessionOf(bytes: number, user = 'user-42'): Record<string, unknown> {
  const session = { user, csrfToken: 'cH8z2Kk0mVbq5dYtW1sLx9', roles: ['customer'], visits: 1, basket: [] as object[] }
  const item = { sku: 'A-1024', title: 'A thing in the basket', quantity: 2, price: 1299 }
  const perItem = JSON.stringify(item).length + 1
  const rest = bytes - JSON.stringify(session).length - JSON.stringify(new Cookie(1)).length
  for (let left = rest; left > perItem; left -= perItem) session.basket.push({ ...item })
  return session
}

/** The id of the n-th session, as random as those of the plugin and the same in each run. */
export function sessionId(n: number): string {
  return hash('sha256', `session ${n}`, 'base64url').slice(0, 32)
}
