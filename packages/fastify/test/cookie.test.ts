import { request as httpsRequest } from 'node:https'
import { MemoryStore } from '@session-stores/core'
import type { FastifyInstance } from 'fastify'
import { generate } from 'selfsigned'
import { describe, expect, test } from 'vitest'
import { SECRET, Site, type SiteOptions } from './setup.ts'

const HTTPS = 'https://site.example'
const proxied = { trustProxy: 'loopback' }

describe('the session cookie', () => {
  test('on plain http at localhost: works, and no script and no other site can use it', async () => {
    await using site = await open()
    const browser = site.browser()
    const { cookies } = await browser.post('/visit')
    expect(attributes(cookies)).toEqual(['session', 'httponly', 'path=/', 'samesite=lax'])
    expect((await browser.get('/visits')).body).toBe('1')
  })

  test('behind a proxy for https: Secure, and named so that no subdomain can plant one', async () => {
    await using site = await open({}, proxied)
    const browser = site.browser(HTTPS)
    const { cookies } = await browser.post('/visit')
    expect(attributes(cookies)).toEqual(['__Host-session', 'httponly', 'path=/', 'samesite=lax', 'secure'])
    expect(await browser.cookie()).toMatch(/^__Host-session=/)
    expect((await browser.get('/visits')).body).toBe('1')
  })

  test('on https without a proxy: the same', async () => {
    const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }])
    await using site = await open({}, { https: { key, cert } } as object)
    const cookies = await new Promise<string[]>((resolve, reject) => {
      const sending = httpsRequest(`${site.base}/visit`, { method: 'POST', ca: cert, servername: 'localhost' })
      sending.on('response', (response) => resolve(response.resume().headers['set-cookie'] ?? [])).on('error', reject)
      sending.end()
    })
    expect(attributes(cookies)).toEqual(['__Host-session', 'httponly', 'path=/', 'samesite=lax', 'secure'])
  })

  test('of a site that trusts a proxy but has none, as a developer starts it: as on plain http', async () => {
    await using site = await open({}, { trustProxy: true })
    const browser = site.browser()
    await browser.post('/visit')
    expect(await browser.cookie()).toMatch(/^session=/)
    expect((await browser.get('/visits')).body).toBe('1')
  })

  test('of plain http counts for nothing on https', async () => {
    await using site = await open({}, proxied)
    const onHttp = site.browser()
    await onHttp.post('/visit')
    const { body } = await site.browser(HTTPS).get('/visits', { cookie: await onHttp.cookie() })
    expect(body).toBe('0')
  })

  test('a proxy that is not trusted changes nothing', async () => {
    await using site = await open()
    const { cookies } = await site.browser().post('/visit', {}, { 'x-forwarded-proto': 'https' })
    expect(attributes(cookies)[0]).toBe('session')
  })

  const settings: Array<{ options: Partial<SiteOptions>; https: string[]; http: string[] | undefined }> = [
    {
      options: { cookie: { domain: 'site.example' } },
      https: ['__Secure-session', 'domain=site.example', 'httponly', 'path=/', 'samesite=lax', 'secure'],
      http: ['session', 'domain=site.example', 'httponly', 'path=/', 'samesite=lax'],
    },
    {
      options: { cookieName: 'id', cookie: { sameSite: 'strict' } },
      https: ['id', 'httponly', 'path=/', 'samesite=strict', 'secure'],
      http: ['id', 'httponly', 'path=/', 'samesite=lax'],
    },
    {
      options: { cookie: { secure: true } },
      https: ['__Host-session', 'httponly', 'path=/', 'samesite=lax', 'secure'],
      http: undefined,
    },
    {
      options: { cookie: { secure: false, httpOnly: false } },
      https: ['session', 'path=/', 'samesite=lax'],
      http: ['session', 'path=/', 'samesite=lax'],
    },
  ]
  for (const { options, https, http } of settings) {
    test(`with ${JSON.stringify(options)}`, async () => {
      await using site = await open(options, proxied)
      expect(attributes((await site.browser(HTTPS).post('/visit')).cookies)).toEqual(https)
      const { cookies } = await site.browser().post('/visit')
      expect(cookies.length > 0 ? attributes(cookies) : undefined).toEqual(http)
    })
  }

  test('goes along with the cookies that the application sets', async () => {
    await using site = await open({}, proxied)
    for (const [origin, name] of [
      [undefined, 'session'],
      [HTTPS, '__Host-session'],
    ] as const) {
      const { cookies } = await site.browser(origin).post('/visit-and-colour')
      expect(cookies.map((line) => line.split('=', 1)[0]).sort()).toEqual(['colour', name].sort())
    }
  })

  test('whose session is over is taken back', async () => {
    for (const origin of [undefined, HTTPS] as const) {
      const store = new MemoryStore()
      await using site = await open({ store }, proxied)
      const browser = site.browser(origin)
      await browser.post('/visit')
      await store.clear()
      expect((await browser.get('/visits')).body).toBe('0')
      expect(await browser.cookie()).toBe('')
    }
  })
})

test('who only looks around gets no session and no cookie', async () => {
  const store = new MemoryStore()
  await using site = await open({ store })
  expect((await site.browser().get('/visits')).cookies).toEqual([])
  expect(await store.count()).toBe(0)
})

describe('secrets', () => {
  const [old, fresh] = ['the old secret, of 32 characters or more', 'the new secret, of 32 characters or more']

  test.each(['', 's:'])(
    'rotate by a list: nobody is logged out, who only reads neither (prefix %j)',
    async (cookiePrefix) => {
      const store = new MemoryStore()
      const options = { store, cookiePrefix, closeStore: false }
      await using before = await open({ ...options, secret: old })
      const first = before.browser()
      await first.post('/visit')
      const oldCookie = await first.cookie()

      await using during = await open({ ...options, secret: [fresh, old] })
      const { body, cookies } = await during.browser().get('/visits', { cookie: oldCookie })
      expect(body).toBe('1')
      const newCookie = cookies[0]?.split(';', 1)[0] ?? ''
      expect(newCookie).not.toBe(oldCookie)

      await using after = await open({ ...options, secret: [fresh] })
      expect((await after.browser().get('/visits', { cookie: newCookie })).body).toBe('1')
      expect((await after.browser().get('/visits', { cookie: oldCookie })).body).toBe('0')
    },
  )

  test('that the application adds to the list while it runs are accepted', async () => {
    const list = [fresh]
    const store = new MemoryStore()
    await using before = await open({ store, secret: old, closeStore: false })
    const browser = before.browser()
    await browser.post('/visit')
    await using site = await open({ store, secret: list })
    const headers = { cookie: await browser.cookie() }
    expect((await site.browser().get('/visits', headers)).body).toBe('0')
    list.push(old)
    expect((await site.browser().get('/visits', headers)).body).toBe('1')
  })

  test('may be a signer of the application’s own', async () => {
    const secret = {
      sign: (id: string) => `${id}.signed`,
      unsign: (value: string) => ({ valid: value.endsWith('.signed'), renew: false, value: value.split('.')[0] ?? '' }),
    }
    await using site = await open({ secret })
    const browser = site.browser()
    await browser.post('/visit')
    expect(await browser.cookie()).toMatch(/\.signed$/)
    expect((await browser.get('/visits')).body).toBe('1')
    expect((await site.browser().get('/visits', { cookie: 'session=made-up.forged' })).body).toBe('0')
  })
})

function open(options: Partial<SiteOptions> = {}, serverOptions = {}): Promise<Site> {
  return Site.open({ secret: SECRET, store: new MemoryStore(), ...options }, routes, serverOptions)
}

function routes(app: FastifyInstance): void {
  app.post('/visit', async ({ session }) => {
    session.visits = (session.visits ?? 0) + 1
    return 'ok'
  })
  app.post('/visit-and-colour', async ({ session }, reply) => {
    session.visits = 1
    return reply.setCookie('colour', 'blue').send('ok')
  })
  app.get('/visits', async ({ session }) => `${session.visits ?? 0}`)
}

/** The name of the only cookie that is set, and its attributes but for the expiry, sorted. */
function attributes(cookies: string[]): string[] {
  expect(cookies).toHaveLength(1)
  const [pair = '', ...rest] = (cookies[0] ?? '').split('; ')
  const lower = rest.map((attribute) => attribute.toLowerCase())
  expect(lower.some((attribute) => attribute.startsWith('expires='))).toBe(true)
  return [pair.split('=', 1)[0] ?? '', ...lower.filter((attribute) => !attribute.startsWith('expires=')).sort()]
}
