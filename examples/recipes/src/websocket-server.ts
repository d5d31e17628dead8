import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, Session } from 'fastify'
import { WebSocketServer } from 'ws'

/** For a WebSocketServer of ws (or Socket.IO and the like) beside Fastify, whose requests go through no hook. */
export function addSocketServer(app: FastifyInstance, cookieName = 'session'): void {
  const sockets = new WebSocketServer({ noServer: true })
  app.server.on('upgrade', async (request, socket, head) => {
    const session = await sessionOf(app, request, cookieName).catch(() => undefined)
    if (!session?.user) return socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n')
    sockets.handleUpgrade(request, socket, head, (each) => each.send(`hello ${session.user}`))
  })
  app.addHook('onClose', () => sockets.close())
}

function sessionOf(app: FastifyInstance, { headers }: IncomingMessage, cookieName: string): Promise<Session> {
  const cookie = app.parseCookie(headers.cookie ?? '')[cookieName] ?? ''
  const holder = {} as { session: Session }
  return new Promise((resolve, reject) => {
    app.decryptSession(cookie, holder, (error?: unknown) => (error ? reject(error) : resolve(holder.session)))
  })
}
