import type { ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'

/** How long a request that is under way may still take once the application is closing, in ms. */
const WITHIN = 5000

/** Lets requests that are under way end before `app.close()` cuts the connections. */
export function finishRequestsFirst(app: FastifyInstance): void {
  const running = new Set<ServerResponse>()
  let noneLeft: (() => void) | undefined

  app.addHook('onRequest', async (_request, reply) => {
    const response = reply.raw
    running.add(response)
    response.once('close', () => {
      running.delete(response)
      if (running.size === 0) noneLeft?.()
    })
  })

  app.addHook('preClose', async () => {
    if (running.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, WITHIN)
      noneLeft = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  })
}
