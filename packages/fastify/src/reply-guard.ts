import { isDeepStrictEqual } from 'node:util'
import type { SessionStore } from '@fastify/session'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** Replies that wait for the store to save their session, as they are to go out. */
const saving = new WeakMap<FastifyReply, Head>()

interface Head {
  status: number
  headers: Record<string, unknown>
}

/** Whether this reply waits for the store to save its session. */
export function isSaving(reply: FastifyReply): boolean {
  return saving.has(reply)
}

/**
 * Keeps a reply that is being sent from being overtaken.
 *
 * `@fastify/session` saves in an `onSend` hook. With a store that answers later, Fastify does not know meanwhile that a reply is
 * on its way: after a hook or a handler that sent without returning the reply, it runs the next one, sends twice and
 * ends the process (ERR_HTTP_HEADERS_SENT). So here `reply.sent` is true from the moment the store is asked until it has
 * answered, as it is with a store that answers at once: Fastify then runs nothing more of that request, and drops a second
 * reply with a warning in the log.
 *
 * And when the store has failed, the request loses its session, so that nothing half-read or half-changed is saved.
 */
export class ReplyGuard {
  /** The store, for the plugin to use. */
  readonly store: SessionStore
  /** The reply with which a session is about to be saved. */
  readonly #replies = new WeakMap<object, FastifyReply>()
  /** What the store failed with. */
  readonly #errors = new WeakSet<object>()

  constructor(store: SessionStore) {
    this.store = {
      get: (id, callback) => {
        store.get(id, (error, session) => {
          this.note(error)
          callback(error, session)
        })
      },
      set: (id, session, callback) => {
        const reply = this.#replies.get(session)
        this.#replies.delete(session)
        if (reply === undefined) {
          store.set(id, session, (error) => {
            this.note(error)
            callback(error)
          })
          return
        }
        let answered = false
        store.set(id, session, (error) => {
          answered = true
          release(reply)
          // Fastify sends the error through onSend: the plugin must not save a second time
          if (error) dropSession(reply.request)
          callback(error)
        })
        if (!answered) hold(reply)
      },
      destroy: (id, callback) => {
        store.destroy(id, (error) => {
          this.note(error)
          callback(error)
        })
      },
    }
  }

  /** For an `onSend` hook before the plugin's own. */
  expectSave({ session }: FastifyRequest, reply: FastifyReply): void {
    if (session?.sessionId) this.#replies.set(session, reply)
  }

  /** For an `onError` hook: an error of the store, or one that it caused, costs the request its session. */
  handleError(request: FastifyRequest, error: unknown): void {
    let cause = error
    for (let depth = 0; isObject(cause) && depth < 10; depth += 1) {
      if (this.#errors.has(cause)) dropSession(request)
      cause = (cause as Error).cause
    }
  }

  /** To be told of what the store failed with where it was not asked through `this.store`. */
  note(error: unknown): void {
    if (isObject(error)) this.#errors.add(error)
  }
}

function hold(reply: FastifyReply): void {
  saving.set(reply, { status: reply.statusCode, headers: copied(reply.getHeaders()) })
  Object.defineProperty(reply, 'sent', { value: true, configurable: true })
}

function release(reply: FastifyReply): void {
  const head = saving.get(reply)
  if (head === undefined) return
  saving.delete(reply)
  Reflect.deleteProperty(reply, 'sent')
  restore(reply, head)
}

/** Whatever went on running may have set a status or headers of its own, too late. */
function restore(reply: FastifyReply, { status, headers }: Head): void {
  if (reply.statusCode !== status) reply.code(status)
  for (const name of Object.keys({ ...reply.getHeaders(), ...headers })) {
    if (isDeepStrictEqual(reply.getHeader(name), headers[name])) continue
    reply.removeHeader(name)
    if (name in headers) reply.header(name, headers[name])
  }
}

/** `Set-Cookie` is a list, to which Fastify adds. */
function copied(headers: object): Head['headers'] {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? [...value] : value]),
  )
}

/** What the plugin itself leaves when it could not load a session: nothing to read, nothing to save. */
function dropSession(request: FastifyRequest): void {
  request.session = {} as never
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
