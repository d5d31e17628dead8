import dns from 'node:dns'
import { HOST, type Resolver } from './config.ts'

/** How long a slow resolver takes, in ms. */
const SLOW = 1500

let resolver: Resolver = 'works'
const { lookup } = dns

/**
 * Node asks this function for the address of every host that a connection is made to. Our own host name is not in any
 * real name server, so that nothing on this machine has to be changed for it to vanish.
 */
function lookupOurs(host: string, options: dns.LookupOptions, callback: (...answer: unknown[]) => void): void {
  if (host !== HOST) {
    lookup(host, options, callback)
    return
  }
  const answer = () => {
    if (resolver === 'gone') {
      return callback(Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' }))
    }
    if (options.all) callback(null, [{ address: '127.0.0.1', family: 4 }])
    else callback(null, '127.0.0.1', 4)
  }
  setTimeout(answer, resolver === 'slow' ? SLOW : 0)
}

dns.lookup = lookupOurs as typeof dns.lookup

export function setResolver(to: Resolver): void {
  resolver = to
}
