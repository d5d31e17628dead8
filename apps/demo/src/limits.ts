import type { FastifyInstance, FastifyRequest, preHandlerAsyncHookHandler } from 'fastify'
import { nameKey } from './names.ts'

const MINUTE = 60_000
/** How many addresses' worth of tries a network has. */
const NETWORK = 10

interface Limits {
  /** How many tries one address has in a minute; of IPv6 its /64, which is what one subscriber has. */
  attempts: number
  /** Which account is tried: it has no more of them either, from wherever they come. */
  account?: (request: FastifyRequest) => string
}

/**
 * Limits tries per address, per network (an IPv6 /48 is the most that one site is given, RFC 6177, and holds 65,536 of
 * /64), and per account. Whoever guesses one person's password from everywhere keeps that person out for a minute, and
 * gets nowhere.
 */
export function limitTries(app: FastifyInstance, { attempts, account }: Limits): preHandlerAsyncHookHandler {
  const limits = [
    app.createRateLimit({ max: attempts, timeWindow: MINUTE }),
    app.createRateLimit({ max: attempts * NETWORK, timeWindow: MINUTE, ipv6Subnet: 48 }),
  ]
  if (account) {
    const keyGenerator = (request: FastifyRequest) => nameKey(account(request))
    limits.push(app.createRateLimit({ max: attempts, timeWindow: MINUTE, keyGenerator }))
  }
  return async (request, reply) => {
    for (const limit of limits) {
      const tries = await limit(request)
      if (tries.isAllowed || !tries.isExceeded) continue
      reply.header('retry-after', tries.ttlInSeconds)
      throw Object.assign(new Error('too many tries'), { statusCode: 429 })
    }
  }
}

/**
 * Addresses without ports, which some proxies add in `X-Forwarded-For`: with them each new connection would be somebody
 * new, and a proxy would not be known as trusted.
 */
export function withoutPorts(forwardedFor: string): string {
  return forwardedFor.replaceAll(/(?<=^|,)\s*(?:\[([^\],]+)\](?::\d+)?|([\d.]+):\d+)\s*(?=,|$)/g, ' $1$2')
}
