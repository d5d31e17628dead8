import type { FastifyInstance, FastifyReply } from 'fastify'
import { isSaving } from './reply-guard.ts'

/**
 * Lets requests that are under way end before connections are cut and the store is closed. Fastify itself waits only for those
 * of the first address that it listens on: for `localhost` there are two, 127.0.0.1 and ::1.
 *
 * @param within how long they may still take, in ms
 */
export function drainBeforeClose(app: FastifyInstance, within: number): void {
  const running = new Set<FastifyReply>()
  let check: (() => void) | undefined

  app.addHook('onRequest', (_request, reply, done) => {
    running.add(reply)
    reply.raw.once('close', () => {
      running.delete(reply)
      check?.()
    })
    done()
  })

  app.addHook('preClose', (done) => {
    const timer = setTimeout(finish, within)
    function finish() {
      clearTimeout(timer)
      check = undefined
      done()
    }
    check = () => {
      if (![...running].some(isUnderWay)) finish()
    }
    check()
  })
}

/** A hijacked reply, such as a websocket, is its owner's to end. */
function isUnderWay(reply: FastifyReply): boolean {
  const isHijacked = reply.sent && !isSaving(reply) && !reply.raw.writableEnded
  return !isHijacked
}
