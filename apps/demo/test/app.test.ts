import { Writable } from 'node:stream'
import { Gate } from '@session-stores/testing'
import { describe, expect, test, vi } from 'vitest'
import { ABSOLUTE, type Demo, demos, IDLE, MINUTE, memory, PASSWORD, stores } from './demo.ts'
import { tokenOf, Visitor } from './visitor.ts'

const { start, serve } = demos()

const ways: Record<string, (demo: Demo) => Promise<Visitor>> = {
  'app.inject': async ({ app }) => Visitor.inside(app),
  'real sockets': async ({ app }) => Visitor.at(await app.listen({ host: '127.0.0.1', port: 0 })),
}

describe.each(stores)('with the $name store', (store) => {
  serve(store)

  test.each(Object.keys(ways))('sign up, profile, log out, log in, by %s', async (way) => {
    const demo = await start(store)
    const ada = await (ways[way] as (demo: Demo) => Promise<Visitor>)(demo)

    const home = await ada.get('/')
    expect(home.status).toBe(200)
    expect(home.headers.getSetCookie(), 'who only looks around gets no session').toEqual([])

    const signedUp = await ada.signUp('ada', PASSWORD)
    expect([signedUp.status, signedUp.headers.get('location')]).toEqual([303, '/profile'])
    const profile = await ada.get('/profile')
    expect(profile.status).toBe(200)
    expect(profile.text).toContain('Hello, ada')
    expect(profile.text).toMatch(/id="idle" [^>]*data-seconds-left="(900|899)"/)
    expect(profile.text).toMatch(/id="absolute" [^>]*data-seconds-left="(28800|2879\d)"/)
    for (const value of ada.cookies.values()) expect(profile.text, 'no page shows the id').not.toContain(value)

    const thief = ada.copy()
    const loggedOut = await ada.logOut()
    expect([loggedOut.status, loggedOut.headers.get('location')]).toEqual([303, '/'])
    expect([...ada.cookies.keys()], 'the cookie is taken back').toEqual([])
    expect(await ada.isLoggedIn()).toBe(false)
    expect(await thief.isLoggedIn(), 'a copied cookie ended with the session').toBe(false)

    expect((await ada.logIn('Ada', PASSWORD)).status).toBe(303)
    expect(await ada.isLoggedIn()).toBe(true)
  })

  test.each(['signUp', 'logIn'] as const)('%s gives a new id, and the old one is dead', async (how) => {
    const { app } = await start(store)
    if (how === 'logIn') await Visitor.inside(app).signUp('ada', PASSWORD)

    const attacker = Visitor.inside(app)
    await attacker.signUp('mallory', PASSWORD)
    const before = attacker.cookies.get('session-stores-demo') as string
    expect(before).toBeDefined()

    const ada = Visitor.inside(app)
    const form = await ada.get(how === 'logIn' ? '/login' : '/signup')
    ada.cookies.set('session-stores-demo', before) // which the attacker planted
    const path = how === 'logIn' ? '/login' : '/signup'
    expect((await ada.post(path, { _csrf: tokenOf(form.text), name: 'ada', password: PASSWORD })).status).toBe(303)
    expect(ada.cookies.get('session-stores-demo')).not.toBe(before)
    expect(await ada.isLoggedIn()).toBe(true)
    expect(await attacker.isLoggedIn()).toBe(false)
  })

  test('a log-out holds against a slow request that saves the session after it', async () => {
    const gate = new Gate()
    const { app } = await start(store, { pause: () => gate.pass() })
    const ada = Visitor.inside(app)
    await ada.signUp('ada', PASSWORD)
    const thief = ada.copy()

    const slow = ada.copy()
    const saving = slow.submit('/profile', '/note', { note: 'late', slow: '1' })
    await gate.entered(1)
    await ada.logOut()
    gate.open()
    expect((await saving).status).toBe(303)

    for (const visitor of [ada, slow, thief]) expect(await visitor.isLoggedIn()).toBe(false)
  })

  test('two requests at once that change different things both keep theirs', async () => {
    const gate = new Gate()
    const { app } = await start(store, { pause: () => gate.pass() })
    const ada = Visitor.inside(app)
    await ada.signUp('ada', PASSWORD)

    const saving = ada.copy().submit('/profile', '/note', { note: 'written slowly', slow: '1' })
    await gate.entered(1)
    await ada.submit('/profile', '/colour', { colour: 'plum' })
    gate.open()
    await saving

    const { text } = await ada.get('/profile')
    expect(text).toContain('>written slowly</textarea>')
    expect(text).toContain('<html lang="en" data-colour="plum">')
  })

  test('a page view that changes nothing writes nothing', async () => {
    const { app } = await start(store)
    const ada = Visitor.inside(app)
    await ada.signUp('ada', PASSWORD)
    await ada.get('/profile')
    const writes = (text: string) => /: written<\/th><td class="number">(\d+)/.exec(text)?.[1]
    const skips = (text: string) => Number(/nothing was written<\/th><td class="number">(\d+)/.exec(text)?.[1])
    const first = (await ada.get('/profile')).text
    const second = (await ada.get('/profile')).text
    expect(writes(second)).toBe(writes(first))
    expect(skips(second)).toBe(skips(first) + 1)
  })

  test('a session ends at its idle and at its absolute timeout', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const { app } = await start(store)
    const ada = Visitor.inside(app)
    await ada.signUp('ada', PASSWORD)
    const pass = (ms: number) => vi.setSystemTime(Date.now() + ms)
    pass(IDLE - 2 * MINUTE)
    expect(await ada.isLoggedIn(), 'shortly before').toBe(true)
    pass(IDLE + 1000)
    expect(await ada.isLoggedIn(), 'idle for too long').toBe(false)

    await ada.logIn('ada', PASSWORD)
    const end = Date.now() + ABSOLUTE
    for (; Date.now() < end; pass(10 * MINUTE)) {
      expect(await ada.isLoggedIn(), 'busy, and not too long ago').toBe(true)
    }
    expect(await ada.isLoggedIn(), 'too long ago, however busy').toBe(false)
  })

  test('a restart keeps sessions where the store is lasting', async () => {
    const before = await start(store)
    const ada = Visitor.inside(before.app)
    await ada.signUp('ada', PASSWORD)
    await before.close()

    const after = Visitor.inside((await start(store)).app)
    for (const [name, value] of ada.cookies) after.cookies.set(name, value)
    expect(await after.isLoggedIn()).toBe(store.lasting)
    if (!store.lasting) expect((await after.logIn('ada', PASSWORD)).status, 'users are kept either way').toBe(303)
  })

  test('a store that fails answers 503 with a page, while loading and while saving', async () => {
    const gate = new Gate()
    const { app, sessions } = await start(store, { pause: () => gate.pass() })
    const ada = Visitor.inside(app)
    await ada.signUp('ada', PASSWORD)
    const saving = ada.submit('/profile', '/note', { note: 'x', slow: '1' })
    await gate.entered(1)
    await sessions.store.close() // from here on each operation fails with a 503 of the store's
    gate.open()

    for (const page of [await saving, await ada.get('/profile')]) {
      expect(page.status).toBe(503)
      expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
      expect(page.headers.getSetCookie()).toEqual([])
      expect(page.text).toContain('Nobody was logged out')
      expect(page.text).not.toContain('closed')
    }
    expect((await ada.get('/static/style.css')).status, 'what needs no session works').toBe(200)
  })
})

describe('with any store', () => {
  test('a wrong password and an unknown name get the same answer, and keep nobody out', async () => {
    const { app } = await start(memory)
    const ada = Visitor.inside(app)
    await Visitor.inside(app).signUp('ada', PASSWORD)
    const wrong = await ada.logIn('ada', 'not the password')
    const unknown = await ada.logIn('bob', 'not the password')
    expect([wrong.status, unknown.status]).toEqual([401, 401])
    const problem = /role="alert">([^<]+)</
    expect(wrong.text).toMatch(problem)
    expect(problem.exec(unknown.text)?.[1]).toBe(problem.exec(wrong.text)?.[1])
    expect(await ada.isLoggedIn()).toBe(false)
    expect((await ada.logIn('ada', PASSWORD)).status).toBe(303)
  })

  test('sign-up says what is wrong with a name or a password, and keeps what was typed', async () => {
    const { app } = await start(memory)
    await Visitor.inside(app).signUp('ada', PASSWORD)
    const visitor = Visitor.inside(app)
    for (const [name, password, status] of [
      ['ADA', PASSWORD, 409],
      ['a', PASSWORD, 400],
      ['<b>ada</b>', PASSWORD, 400],
      ['eve', 'short', 400],
      ['eve', 'x'.repeat(129), 400],
    ] as const) {
      const page = await visitor.signUp(name, password)
      expect(page.status).toBe(status)
      expect(page.text).toContain('role="alert"')
      expect(page.text).toContain(`value="${name.replaceAll('<', '&lt;').replaceAll('>', '&gt;')}"`)
    }
    expect(await visitor.isLoggedIn()).toBe(false)
  })

  test('each form is refused without a token, and with one of another session', async () => {
    const { app } = await start(memory)
    const ada = Visitor.inside(app)
    await ada.signUp('ada', PASSWORD)
    const stranger = (await Visitor.inside(app).get('/login')).text
    const foreign = /name="_csrf" value="([^"]+)"/.exec(stranger)?.[1] as string

    for (const path of ['/signup', '/login', '/logout', '/note', '/colour']) {
      for (const fields of [{}, { _csrf: foreign }]) {
        const page = await ada.post(path, {
          note: 'forged',
          colour: 'rust',
          name: 'eve',
          password: PASSWORD,
          ...fields,
        })
        expect([path, page.status]).toEqual([path, 403])
        expect(page.text).toContain('out of date')
      }
    }
    expect(await ada.isLoggedIn()).toBe(true)
    expect((await ada.get('/profile')).text).not.toContain('forged')
  })

  test.each(['/login', '/signup'])('too many tries at %s answer 429', async (path) => {
    const { app } = await start(memory, { attemptsPerMinute: 3 })
    const visitor = Visitor.inside(app)
    const statuses: number[] = []
    for (let i = 0; i < 5; i += 1)
      statuses.push((await visitor.submit(path, path, { name: 'x', password: 'y' })).status)
    const status = path === '/login' ? 401 : 400
    expect(statuses).toEqual([status, status, status, 429, 429])
    const page = await visitor.submit(path, path, { name: 'x', password: 'y' })
    expect(page.text).toContain('Too many tries')
    expect(Number(page.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await visitor.get(path)).status, 'the page itself still shows').toBe(200)
  })

  test('what people write is shown as text', async () => {
    const { app } = await start(memory)
    const ada = Visitor.inside(app)
    await ada.signUp('ada', PASSWORD)
    const nasty = `</textarea><script>alert(1)</script>"'><img src=x onerror=alert(1)>`
    await ada.submit('/profile', '/note', { note: nasty })
    const { text, headers } = await ada.get('/profile')
    expect(text).not.toContain('<script>alert')
    expect(text).not.toContain('<img src=x')
    expect(text.split('&lt;/textarea&gt;&lt;script&gt;alert(1)&lt;/script&gt;').length - 1).toBe(2)
    expect(headers.get('content-security-policy')).not.toMatch(/unsafe|http:|\*/)
    expect(text, 'nothing inline, which that policy refuses').not.toMatch(
      /<script(?! src=)|<style|<[^>]+ (style|on\w+)=/,
    )
  })

  test('over plain http: HttpOnly, SameSite, a date, no Secure, and no lock on https', async () => {
    const { app } = await start(memory)
    const ada = Visitor.inside(app)
    const page = await ada.get('/login')
    expect(page.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^session-stores-demo-form=[^;]+; Path=\/; HttpOnly; SameSite=Lax$/),
    ])
    const cookies = (await ada.signUp('ada', PASSWORD)).headers.getSetCookie()
    const cookie = cookies.find((line) => line.startsWith('session-stores-demo='))
    expect(cookie).toMatch(/^session-stores-demo=[^;]+; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Lax$/)
    expect(page.headers.get('strict-transport-security')).toBeNull()
    expect(page.headers.get('content-security-policy')).not.toContain('upgrade-insecure-requests')
  })

  test('behind a proxy that terminates https: Secure and a __Host- name too', async () => {
    const { app } = await start(memory, { trustProxy: 'loopback' })
    const ada = Visitor.inside(app)
    ada.headers = { 'x-forwarded-proto': 'https' }
    const page = await ada.get('/login')
    expect(page.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^__Host-session-stores-demo-form=[^;]+; Path=\/; HttpOnly; Secure; SameSite=Lax$/),
    ])
    expect(page.headers.get('strict-transport-security')).toMatch(/max-age=\d{7,}/)
    const signedUp = await ada.signUp('ada', PASSWORD)
    expect(signedUp.status).toBe(303)
    expect(signedUp.headers.getSetCookie()).toContainEqual(
      expect.stringMatching(
        /^__Host-session-stores-demo=[^;]+; Path=\/; Expires=[^;]+; HttpOnly; Secure; SameSite=Lax$/,
      ),
    )
    const out = await ada.logOut()
    expect(out.headers.getSetCookie()[0], 'browsers drop a __Host- cookie only by another valid one').toMatch(
      /^__Host-session-stores-demo=; Max-Age=0; Path=\/; Expires=Thu, 01 Jan 1970 [^;]+; HttpOnly; Secure; SameSite=Lax$/,
    )

    const plain = Visitor.inside(app)
    const unsafe = await plain.signUp('eve', PASSWORD)
    expect(unsafe.headers.getSetCookie().join(), 'no session over plain http').not.toContain('session-stores-demo=')
    expect(await plain.isLoggedIn()).toBe(false)
  })

  test('pages of a session are kept by no cache', async () => {
    const { app } = await start(memory)
    const ada = Visitor.inside(app)
    await ada.signUp('ada', PASSWORD)
    for (const path of ['/profile', '/login', '/', '/nowhere']) {
      expect((await ada.get(path)).headers.get('cache-control')).toBe('no-store')
    }
    expect((await ada.get('/static/style.css')).headers.get('cache-control')).toContain('max-age=60')
  })

  test('addresses that do not exist, and bodies that are too large or no form, get a page', async () => {
    const { app } = await start(memory)
    const ada = Visitor.inside(app)
    expect((await ada.get('/nowhere')).text).toContain('No such page')
    expect((await ada.get('/static/../package.json')).status).toBe(404)
    expect((await ada.post('/login', { name: 'x'.repeat(20_000) })).status).toBe(413)
    const json = await app.inject({
      method: 'POST',
      url: '/login',
      payload: { name: 'x' },
      headers: { 'content-type': 'text/csv' },
    })
    expect([json.statusCode, json.headers['content-type']]).toEqual([415, 'text/html; charset=utf-8'])
  })

  test('the log holds no session id, cookie or password', async () => {
    let log = ''
    const stream = new Writable({
      write(chunk, _encoding, done) {
        log += chunk
        done()
      },
    })
    const { app } = await start(memory, { logger: { level: 'trace', stream } })
    const ada = Visitor.inside(app)
    await ada.signUp('ada', PASSWORD)
    await ada.get('/profile')
    await ada.post('/note', {})
    const values = [...ada.cookies.values()]
    await ada.logOut()
    expect(log).toContain('/profile')
    for (const value of values) expect(log).not.toContain(decodeURIComponent(value).split('.')[0])
    expect(log).not.toContain('correct')
  })
})
