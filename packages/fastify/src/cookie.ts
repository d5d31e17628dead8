import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Settings } from './options.ts'

// The plugin knows the cookie by one name. Where it is to have another one over plain http, for a browser takes no
// __Host- cookie there, that name is put in the place of the plugin's on the way in, and the other way round on the way out.

/**
 * Finds out at start what would else be an error at each reply, and one that no handler catches.
 * @throws TypeError when there can be no such cookie
 */
export function checkCookie(app: FastifyInstance, { names, cookie }: Settings): void {
  const { maxAge: _, secure: __, ...attributes } = cookie
  try {
    for (const name of [names.https, names.http]) app.serializeCookie(name, '', attributes)
  } catch (cause) {
    const why = (cause as Error).message
    throw new TypeError(`there can be no cookie with this cookieName and these attributes in cookie: ${why}`, { cause })
  }
}

/** What the session's cookie is called on this request's connection. */
export function cookieName(request: FastifyRequest, { names }: Settings): string {
  return request.protocol === 'https' ? names.https : names.http
}

/** Before the plugin reads the cookie: puts it where the plugin looks, signed with the newest secret. */
export function readCookie(request: FastifyRequest, settings: Settings): void {
  const { cookies } = request
  const { names, cookiePrefix, signer, rotates } = settings
  const name = cookieName(request, settings)
  let value = cookies[name]
  if (rotates && value?.startsWith(cookiePrefix)) {
    // The plugin compares the cookie with the signature that it would give today, and takes the cookie of another
    // secret away from whoever only reads.
    const { valid, renew, value: id } = signer.unsign(value.slice(cookiePrefix.length))
    if (valid && renew && id !== null) value = cookiePrefix + signer.sign(id)
  }
  if (value !== cookies[names.https]) setOrDelete(cookies, names.https, value)
}

/** After the plugin has set or cleared the cookie: gives it its name. True if there was such a cookie. */
export function renameCookie(request: FastifyRequest, reply: FastifyReply, settings: Settings): boolean {
  const lines = [reply.getHeader('set-cookie') ?? []].flat().map(String)
  const known = settings.names.https
  const name = cookieName(request, settings)
  const isOurs = (line: string) => line.startsWith(`${known}=`) || line.startsWith(`${name}=`)
  if (!lines.some(isOurs)) return false

  const renamed = lines.map((line) => (line.startsWith(`${known}=`) ? withName(name, line) : line))
  if (renamed.some((line, n) => line !== lines[n])) {
    reply.removeHeader('set-cookie')
    reply.header('set-cookie', renamed.length === 1 ? renamed[0] : renamed)
  }
  return true
}

/** Whether the request came with a session: the plugin found the one that the cookie names. */
export function hasStoredSession({ session, cookies }: FastifyRequest, { names, cookiePrefix }: Settings): boolean {
  const signed = session?.encryptedSessionId
  return signed !== undefined && cookies[names.https] === cookiePrefix + signed
}

/** Tells the browser to forget the cookie. */
export function clearCookie(request: FastifyRequest, reply: FastifyReply, settings: Settings): void {
  const { maxAge: _, expires: __, ...attributes } = settings.cookie
  reply.clearCookie(cookieName(request, settings), attributes)
}

/** The plugin clears a cookie without Secure, and browsers then ignore it where the name begins with a prefix. */
function withName(name: string, line: string): string {
  const rest = line.slice(line.indexOf('='))
  const needsSecure = name.startsWith('__') && !/;\s*secure(;|$)/i.test(rest)
  return `${name}${rest}${needsSecure ? '; Secure' : ''}`
}

function setOrDelete(cookies: FastifyRequest['cookies'], name: string, value: string | undefined): void {
  if (value === undefined) delete cookies[name]
  else cookies[name] = value
}
