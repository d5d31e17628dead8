// A store that answers later leaves Fastify time to send a second reply. Shown here with one that takes its time to save.
import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { describe, expect, test } from 'vitest'
import { type Answer, Site } from './setup.ts'
import { SAVE_TIME, SlowStore } from './slow-store.ts'

describe('a hook that sends and does not return the reply', () => {
  const phases = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const
  const ways = {
    'async, without return': async (request: FastifyRequest, reply: FastifyReply) => {
      refuse(request, reply)
    },
    'with a callback that it calls too': (request: FastifyRequest, reply: FastifyReply, ...rest: unknown[]) => {
      refuse(request, reply)
      const done = rest.at(-1) as () => void
      done()
    },
  }

  for (const phase of phases) {
    for (const [way, hook] of Object.entries(ways)) {
      test(`${phase}, ${way}: nothing more of the request runs`, async () => {
        const ran: string[] = []
        const note = (name: string) => async () => {
          ran.push(name)
        }
        await using site = await Site.open({ store: new SlowStore() }, (app) => {
          // Those of the application come before those of the route, and later phases after this one
          app.addHook(phase as 'preHandler', hook as never)
          for (const each of phases) app.addHook(each as 'preHandler', note(`${each} of the application`))
          const hooks = Object.fromEntries(phases.map((each) => [each, note(`${each} of the route`)]))
          app.post('/', hooks, note('handler'))
        })
        // A body that cannot be read is an error where it is read, which is after the first two
        const body = phase === 'onRequest' || phase === 'preParsing' ? '{' : '{}'
        const answer = await post(site, body)
        const before = phases.slice(0, phases.indexOf(phase)).map((each) => `${each} of the application`)
        expect(ran.filter((name) => name.includes('application'))).toEqual(before)
        expect(ran).not.toContain('handler')
        expectRefusal(answer)
      })
    }
  }

  test('on the way to a page that is not there', async () => {
    await using site = await Site.open({ store: new SlowStore() }, (app) => {
      app.addHook('preHandler', async (request, reply) => {
        refuse(request, reply)
      })
      app.setNotFoundHandler(async (_request, reply) => reply.code(404).send('not found'))
    })
    expectRefusal(await site.browser().get('/missing'))
  })
})

describe('a handler that sends and does not return the reply', () => {
  const handlers: Record<string, (request: FastifyRequest, reply: FastifyReply) => unknown> = {
    'async, without return': async (request, reply) => {
      refuse(request, reply)
    },
    'and returns something else': async (request, reply) => {
      refuse(request, reply)
      return 'something else'
    },
    'and sends again': (request, reply) => {
      refuse(request, reply)
      reply.code(200).type('text/html').header('x-late', 'yes').setCookie('late', 'yes').send('something else')
    },
    'and sends again after a while': async (request, reply) => {
      refuse(request, reply)
      await wait(SAVE_TIME / 2)
      reply.send('something else')
    },
    'and throws': async (request, reply) => {
      refuse(request, reply)
      throw new Error('after the reply')
    },
    'and throws at once': (request, reply) => {
      refuse(request, reply)
      throw new Error('after the reply')
    },
    'and goes on to the page that is not there': (request, reply) => {
      refuse(request, reply)
      reply.callNotFound()
    },
  }
  for (const [way, handler] of Object.entries(handlers)) {
    test(`${way}: the first reply is the one`, async () => {
      const store = new SlowStore()
      await using site = await Site.open({ store }, (app) => {
        app.get('/', handler as never)
      })
      const browser = site.browser()
      expectRefusal(await browser.get('/'))
      expect(store.saves).toBe(1)
      expectRefusal(await browser.get('/'))
    })
  }

  test('a stream is sent whole', async () => {
    await using site = await Site.open({ store: new SlowStore() }, (app) => {
      app.get('/', async (request, reply) => {
        request.session.user = 'ada'
        reply.send(new Response('streamed'))
      })
    })
    expect((await site.browser().get('/')).body).toBe('streamed')
  })

  test('the answer to HEAD is one too', async () => {
    await using site = await Site.open({ store: new SlowStore() }, (app) => {
      app.get('/', handlers['async, without return'] as never)
    })
    const { status } = await fetch(site.base, { method: 'HEAD' })
    expect(status).toBe(401)
  })
})

describe('an error', () => {
  test('is answered by an error handler that does not return its reply', async () => {
    await using site = await Site.open({ store: new SlowStore() }, (app) => {
      app.setErrorHandler(async (error: Error, _request, reply) => {
        reply.code(400).send(`refused: ${error.message}`)
      })
      app.get('/', async (request) => {
        request.session.user = 'ada'
        throw new Error('no')
      })
    })
    const answer = await site.browser().get('/')
    expect([answer.status, answer.body]).toEqual([400, 'refused: no'])
  })

  test('of a save is answered by the error handler, and nothing is saved again', async () => {
    const store = new SlowStore(new Error('disk full'))
    await using site = await Site.open({ store }, (app) => {
      app.setErrorHandler(async (error: Error, request, reply) => {
        reply.code(503).send(`sorry, ${request.session.user ?? 'you'}: ${error.message}`)
      })
      app.get('/', async (request, reply) => {
        refuse(request, reply)
      })
    })
    const answer = await site.browser().get('/')
    expect([answer.status, answer.body, answer.cookies]).toEqual([503, 'sorry, you: disk full', []])
    expect(store.saves).toBe(1)
  })

  test('of the save behind an error page is answered too', async () => {
    const store = new SlowStore(Object.assign(new Error('disk full'), { statusCode: 503 }))
    await using site = await Site.open({ store }, (app) => {
      app.setErrorHandler(async (error: Error, request, reply) => {
        request.session.user = 'ada'
        return reply.code(400).send(`refused: ${error.message}`)
      })
      app.get('/', async () => {
        throw new Error('no')
      })
    })
    const answer = await site.browser().get('/')
    expect([answer.status, JSON.parse(answer.body).message, answer.cookies]).toEqual([503, 'disk full', []])
    expect(store.saves).toBe(1)
  })

  test('of a later onSend hook is answered too, be it in an error page', async () => {
    for (const failing of ['page', 'error page']) {
      await using site = await Site.open({ store: new SlowStore() }, (app) => {
        app.addHook('onSend', async (_request, _reply, payload) => {
          if (payload === failing) throw new Error(`${failing} cannot be sent`)
        })
        app.setErrorHandler(async (_error, _request, reply) => reply.code(500).send('error page'))
        app.get('/page', async (request) => {
          request.session.user = 'ada'
          return 'page'
        })
        app.get('/error', async () => {
          throw new Error('no')
        })
      })
      const answer = await site.browser().get(failing === 'page' ? '/page' : '/error')
      expect(answer.status).toBe(500)
      expect(answer.body).toContain(failing === 'page' ? 'error page' : 'error page cannot be sent')
    }
  })
})

test('reply.sent says so while the session is being saved, and the reply goes out after it', async () => {
  const sent: boolean[] = []
  await using site = await Site.open({ store: new SlowStore() }, (app) => {
    app.addHook('onSend', async (_request, reply) => void sent.push(reply.sent))
    app.get('/', async (request, reply) => {
      request.session.user = 'ada'
      sent.push(reply.sent)
      reply.send('ok')
      sent.push(reply.sent)
      return reply
    })
  })
  expect((await site.browser().get('/')).body).toBe('ok')
  expect(sent).toEqual([false, true, false])
})

test('a store that answers at once is as good', async () => {
  const store = new SlowStore()
  store.saveTime = undefined
  const ran: string[] = []
  await using site = await Site.open({ store }, (app: FastifyInstance) => {
    app.addHook('preHandler', async (request, reply) => {
      refuse(request, reply)
    })
    app.get('/', async () => void ran.push('handler'))
  })
  const browser = site.browser()
  for (let n = 0; n < 2; n += 1) expectRefusal(await browser.get('/'))
  expect(ran).toEqual([])
})

function refuse(request: FastifyRequest, reply: FastifyReply): void {
  // Counts, so that the session has changed each time
  request.session.visits = (request.session.visits ?? 0) + 1
  reply.code(401).header('www-authenticate', 'Form').send('who are you?')
}

async function post(site: Site, json: string): Promise<Answer> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(site.base, { method: 'POST', body: json, headers })
  const cookies = response.headers.getSetCookie()
  return { status: response.status, body: await response.text(), headers: response.headers, cookies }
}

function expectRefusal(answer: Answer): void {
  const { status, body, headers } = answer
  expect(headers.get('x-late')).toBe(null)
  expect([status, body, headers.get('www-authenticate')]).toEqual([401, 'who are you?', 'Form'])
  expect(headers.get('content-type')).toBe('text/plain; charset=utf-8')
  expect(answer.cookies).toHaveLength(1)
}
