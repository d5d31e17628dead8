import { connect } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { describe, expect, test, vi } from 'vitest'
import { withoutPorts } from '../src/limits.ts'
import { nameFrom, nameKey } from '../src/names.ts'
import { textFrom } from '../src/text.ts'
import { demos, IDLE, MINUTE, memory, PASSWORD, sqlite } from './demo.ts'
import { tokenOf, Visitor } from './visitor.ts'

const { start } = demos()

describe('sessions', () => {
  test.each([
    ['shorter', MINUTE],
    ['longer', 60 * MINUTE],
  ])('a %s idle timeout holds after a restart for those who are logged in', async (_, idleTimeout) => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const before = await start(sqlite)
    const ada = Visitor.inside(before.app)
    await ada.signUp('ada', PASSWORD)
    await before.close()

    const after = ada.copy((await start(sqlite, { idleTimeout })).app)
    const { text } = await after.get('/profile')
    expect(text).toMatch(new RegExp(`id="idle" [^>]*data-seconds-left="${idleTimeout / 1000}"`))
    vi.setSystemTime(Date.now() + Math.min(idleTimeout, IDLE) - 10_000)
    expect(await after.isLoggedIn()).toBe(true)
    vi.setSystemTime(Date.now() + idleTimeout - 10_000)
    expect(await after.isLoggedIn()).toBe(true)
    vi.setSystemTime(Date.now() + idleTimeout + 1000)
    expect(await after.isLoggedIn()).toBe(false)
  })

  test('the log-in page, however often it is asked for, makes no session', async () => {
    const { app, sessions } = await start(memory)
    for (let i = 0; i < 100; i += 1) await Visitor.inside(app).get(i % 2 ? '/login' : '/signup')
    expect(await sessions.store.count()).toBe(0)
  })

  test('the cookie of another application on localhost is left alone', async () => {
    const { app } = await start(memory)
    const ada = Visitor.inside(app)
    ada.cookies.set('session', 'theirs')
    await ada.signUp('ada', PASSWORD)
    await ada.logOut()
    expect([...ada.cookies]).toEqual([['session', 'theirs']])
  })

  test('a form of somebody who was not logged in is worth nothing to somebody who is', async () => {
    const { app } = await start(memory)
    const guest = Visitor.inside(app)
    const form = tokenOf((await guest.get('/login')).text)
    const ada = Visitor.inside(app)
    await ada.signUp('ada', PASSWORD)
    for (const [name, value] of guest.cookies) ada.cookies.set(name, value) // as a planted cookie would be
    expect((await ada.post('/logout', { _csrf: form })).status).toBe(403)
    expect(await ada.isLoggedIn()).toBe(true)
  })
})

describe('requests', () => {
  test.each([
    ['that the page waits for', 'application/x-www-form-urlencoded', 408],
    ['that was answered before it was there', 'text/csv', 415],
  ])('one %s is ended when it comes in too slowly', async (_, type, status) => {
    const { app } = await start(memory, { requestTimeout: 200 })
    const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
    const socket = connect(Number(port), '127.0.0.1').setEncoding('utf8')
    socket.write(`POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}\r\ncontent-length: 100\r\n\r\nname=`)
    let answer = ''
    for await (const chunk of socket) answer += chunk // until the server ends it
    expect(answer).toContain(`HTTP/1.1 ${status} `)
  })
})

describe('what people write', () => {
  test('a note keeps its line breaks, and is cut between characters', async () => {
    const { app } = await start(memory)
    const ada = Visitor.inside(app)
    await ada.signUp('ada', PASSWORD)
    const noteAfter = async (note: string) => {
      await ada.submit('/profile', '/note', { note })
      return />([^<]*)<\/textarea>/.exec((await ada.get('/profile')).text)?.[1]
    }
    const lines = Array.from({ length: 140 }, () => 'x').join('\n') // as many as the page lets through
    expect(await noteAfter(lines.replaceAll('\n', '\r\n')), 'sent as browsers send it').toBe(lines)

    const family = '👨‍👩‍👧‍👦'
    expect(await noteAfter('x'.repeat(275) + family)).toBe('x'.repeat(275))
    expect(textFrom('e\u0301'.repeat(3), 5)).toBe('e\u0301e\u0301')
    expect(textFrom('  a\rb\r\nc\n\n', 100)).toBe('a\nb\nc')
  })

  test('names that look the same are the same', async () => {
    const { app } = await start(memory)
    expect((await Visitor.inside(app).signUp('Stra\u00dfe', PASSWORD)).status).toBe(303)
    expect((await Visitor.inside(app).signUp('e\u0301ric', PASSWORD)).status).toBe(303)
    for (const taken of ['STRASSE', 'ｓｔｒａｓｓｅ', '\u00c9RIC', 'E\u0301ric']) {
      expect([taken, (await Visitor.inside(app).signUp(taken, PASSWORD)).status]).toEqual([taken, 409])
    }
    const eric = Visitor.inside(app)
    expect((await eric.logIn('\u00c9RIC', PASSWORD)).status).toBe(303)
    expect((await eric.get('/profile')).text, 'one way to write it').toContain('Hello, \u00e9ric')
    expect(nameKey('ΣΊΣΥΦΟΣ')).toBe(nameKey('σίσυφος'))
  })

  test('no name is invisible', () => {
    const hangulFiller = '\u3164'
    const unseen = [
      hangulFiller.repeat(2),
      `ada${hangulFiller}`,
      'ada\u200b',
      'a\u034fda',
      '\u0301\u0301',
      '...',
      '\u2800\u2800',
    ]
    expect(unseen.map(nameFrom)).toEqual(unseen.map(() => undefined))
    expect(['ada', 'ada.l-2_', '_ada', 'añá', '李明', 'อาดา'].map(nameFrom)).not.toContain(undefined)
  })
})

describe('guessing passwords', () => {
  function from(app: FastifyInstance, address: string): Visitor {
    const visitor = Visitor.inside(app)
    visitor.headers = { 'x-forwarded-for': address, 'x-forwarded-proto': 'https' }
    return visitor
  }

  /** One try, of the form that is refused without the work of hashing a password. */
  async function tryFrom(app: FastifyInstance, address: string): Promise<number> {
    return (await from(app, address).signUp('x', 'x')).status
  }

  test.each([
    ['the addresses of an IPv6 /64', 3, (i: number) => `2001:db8:1:2::${i.toString(16)}`],
    ['one address behind a proxy that adds ports', 3, (i: number) => `203.0.113.7:${5000 + i}`],
    ['one IPv6 address behind such a proxy', 3, (i: number) => `[2001:db8::1]:${5000 + i}`],
    ['the networks of an IPv6 /48', 30, (i: number) => `2001:db8:1:${i.toString(16)}::1`],
  ])('%s: limited together', async (_, max, address) => {
    const { app } = await start(memory, { trustProxy: 'loopback', attemptsPerMinute: 3 })
    const statuses: number[] = []
    for (let i = 1; i <= max + 1; i += 1) statuses.push(await tryFrom(app, address(i)))
    expect(statuses).toEqual([...Array.from({ length: max }, () => 400), 429])
    expect(await tryFrom(app, '198.51.100.1'), 'others are not').toBe(400)
  })

  test('one account, from wherever', async () => {
    const { app } = await start(memory, { trustProxy: 'loopback', attemptsPerMinute: 3 })
    const statuses: number[] = []
    for (let i = 1; i <= 4; i += 1) {
      const { status } = await from(app, `203.0.113.${i}`).logIn(i % 2 ? 'ada' : 'ＡＤＡ', 'wrong')
      statuses.push(status)
    }
    expect(statuses).toEqual([401, 401, 401, 429])
    expect((await from(app, '203.0.113.9').logIn('grace', 'wrong')).status).toBe(401)
  })

  test('only ports are taken out of X-Forwarded-For', () => {
    const addresses = {
      '1.2.3.4:5': '1.2.3.4',
      '[::1]:5': '::1',
      '[::1]': '::1',
      '::1': '::1',
      '2001:db8::5:443': '2001:db8::5:443',
    }
    for (const [written, address] of Object.entries(addresses)) {
      expect(withoutPorts(written).trim()).toBe(address)
      expect(
        withoutPorts(`${written}, 10.0.0.1:80`)
          .split(',')
          .map((each) => each.trim()),
      ).toEqual([address, '10.0.0.1'])
    }
  })
})
