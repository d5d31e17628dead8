import { Gate } from '@session-stores/testing'
import { describe, expect, test, vi } from 'vitest'
import { deviceFrom } from '../src/device.ts'
import { demos, MINUTE, memory, PASSWORD, stores } from './demo.ts'
import { type Page, tokenOf, Visitor } from './visitor.ts'

const { start, serve } = demos()
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
const SAFARI =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1'

/** Each device on the page, by its heading; "this one" is part of it. */
function devicesOn({ text }: Page): string[] {
  return [...text.matchAll(/<h2>([^<]*?)(?: <span class="badge">(this one)<\/span>)?<\/h2>\s*<dl class="facts"/g)].map(
    ([, name, current]) => (current ? `${name} (${current})` : `${name}`),
  )
}

function handlesOn({ text }: Page): string[] {
  return [...text.matchAll(/name="handle" value="([^"]+)"/g)].map(([, handle]) => handle as string)
}

function noticeOn({ text }: Page): string | undefined {
  return /role="status">([^<]+)</.exec(text)?.[1]
}

describe.each(stores.filter(({ name }) => name !== 'memcached'))('with the $name store', (store) => {
  serve(store)

  test('a user sees all sessions of theirs, and ends another one, all others, or all', async () => {
    const { app } = await start(store)
    const laptop = Visitor.inside(app)
    laptop.headers = { 'user-agent': FIREFOX }
    await laptop.signUp('ada', PASSWORD)
    const phone = Visitor.inside(app)
    phone.headers = { 'user-agent': SAFARI }
    await phone.logIn('ada', PASSWORD)
    const stranger = Visitor.inside(app)
    await stranger.signUp('bob', PASSWORD)

    const page = await laptop.get('/devices')
    expect(devicesOn(page).sort()).toEqual(['Firefox 140 on Linux (this one)', 'Safari 18 on iOS'])
    for (const value of laptop.cookies.values()) expect(page.text).not.toContain(value)
    expect(devicesOn(await phone.get('/devices')).sort()).toEqual([
      'Firefox 140 on Linux',
      'Safari 18 on iOS (this one)',
    ])

    const phones = handlesOn(page)[devicesOn(page).indexOf('Safari 18 on iOS')] as string
    await stranger.submit('/devices', '/devices/end', { handle: phones })
    expect(await phone.isLoggedIn(), 'a handle of somebody else ends nothing').toBe(true)
    await laptop.submit('/devices', '/devices/end', { handle: phones })
    expect(noticeOn(await laptop.get('/devices'))).toBe('Safari 18 on iOS was logged out.')
    expect(noticeOn(await laptop.get('/devices')), 'it is said once').toBeUndefined()
    expect(await phone.isLoggedIn()).toBe(false)

    await phone.logIn('ada', PASSWORD)
    await laptop.submit('/devices', '/devices/end-others')
    expect(noticeOn(await laptop.get('/devices'))).toBe('One other session was ended.')
    expect([await laptop.isLoggedIn(), await phone.isLoggedIn()]).toEqual([true, false])

    await phone.logIn('ada', PASSWORD)
    await laptop.submit('/devices', '/devices/end-all')
    expect([await laptop.isLoggedIn(), await phone.isLoggedIn()]).toEqual([false, false])
    expect(laptop.cookies.size).toBe(0)
    expect(await stranger.isLoggedIn()).toBe(true)
  })

  test('a request that is under way on a device that is ended is answered, and saves nothing', async () => {
    const gate = new Gate()
    const { app } = await start(store, { pause: () => gate.pass() })
    const laptop = Visitor.inside(app)
    await laptop.signUp('ada', PASSWORD)
    const phone = Visitor.inside(app)
    await phone.logIn('ada', PASSWORD)

    const saving = phone.submit('/profile', '/note', { note: 'late', slow: '1' })
    await gate.entered(1)
    await laptop.submit('/devices', '/devices/end-others')
    gate.open()
    expect((await saving).status).toBe(303)
    expect(await phone.isLoggedIn()).toBe(false)
    expect(devicesOn(await laptop.get('/devices'))).toHaveLength(1)
  })

  test('a change of the password ends all others, and gives this one a new id', async () => {
    const { app } = await start(store)
    const laptop = Visitor.inside(app)
    await laptop.signUp('ada', PASSWORD)
    await laptop.submit('/profile', '/note', { note: 'kept' })
    const thief = laptop.copy()
    const phone = Visitor.inside(app)
    await phone.logIn('ada', PASSWORD)

    await laptop.submit('/devices', '/password', { current: PASSWORD, new: 'another battery' })
    expect(noticeOn(await laptop.get('/devices'))).toBe('Your password is changed. One other session was ended.')
    expect((await laptop.get('/profile')).text).toContain('>kept</textarea>')
    expect([await phone.isLoggedIn(), await thief.isLoggedIn()]).toEqual([false, false])
    expect((await phone.logIn('ada', PASSWORD)).status).toBe(401)
    expect((await phone.logIn('ada', 'another battery')).status).toBe(303)
  })
})

describe.each(stores.filter(({ name }) => name === 'memcached'))('with the $name store, which cannot list', (store) => {
  serve(store)

  test('the page says so, and a change of the password still ends all others', async () => {
    const { app } = await start(store)
    const laptop = Visitor.inside(app)
    await laptop.signUp('ada', PASSWORD)
    const phone = Visitor.inside(app)
    await phone.logIn('ada', PASSWORD)
    expect((await laptop.get('/devices')).text).toContain('cannot list sessions')
    await laptop.submit('/devices', '/password', { current: PASSWORD, new: 'another battery' })
    expect(noticeOn(await laptop.get('/devices'))).toContain('is not any more')
    expect([await laptop.isLoggedIn(), await phone.isLoggedIn()]).toEqual([true, false])
  })
})

describe('with any store', () => {
  test('a log-in form that was sent twice leaves two sessions, and the page shows both', async () => {
    const { app } = await start(memory)
    await Visitor.inside(app).signUp('ada', PASSWORD)
    const ada = Visitor.inside(app)
    const form = { _csrf: tokenOf((await ada.get('/login')).text), name: 'ada', password: PASSWORD }
    await Promise.all([ada.post('/login', form), ada.post('/login', form)])
    const page = await ada.get('/devices')
    expect(devicesOn(page)).toHaveLength(3)
    expect(page.text).toContain('sent twice')
    await ada.submit('/devices', '/devices/end-others')
    expect(devicesOn(await ada.get('/devices'))).toHaveLength(1)
  })

  test('a log-in with the old password that was under way when it was changed lets nobody in', async () => {
    const { app, users } = await start(memory)
    const ada = Visitor.inside(app)
    await ada.signUp('ada', PASSWORD)
    const late = Visitor.inside(app)
    const logIn = users.logIn.bind(users)
    const found = new Gate()
    vi.spyOn(users, 'logIn').mockImplementation(async (...given) => {
      const user = await logIn(...given)
      await found.pass()
      return user
    })
    const loggingIn = late.logIn('ada', PASSWORD)
    await found.entered(1)
    await ada.submit('/devices', '/password', { current: PASSWORD, new: 'another battery' })
    found.open()
    expect((await loggingIn).status).toBe(303)
    expect(await late.isLoggedIn()).toBe(false)
    expect(await ada.isLoggedIn()).toBe(true)
  })

  test('a new password must be one, and the present one must be right', async () => {
    const { app } = await start(memory, { attemptsPerMinute: 4 })
    const ada = Visitor.inside(app)
    await ada.signUp('ada', PASSWORD)
    const change = async (fields: Record<string, string>) => {
      const page = await ada.submit('/devices', '/password', fields)
      return [page.status, /role="alert">([^<]+)</.exec(page.text)?.[1]]
    }
    expect(await change({ current: PASSWORD, new: 'short' })).toEqual([400, 'A password has 8 to 128 characters.'])
    expect(await change({ current: 'wrong', new: 'another battery' })).toEqual([
      401,
      'The present password is another one.',
    ])
    for (const other of [Visitor.inside(app), Visitor.inside(app)])
      expect((await other.logIn('ada', PASSWORD)).status).toBe(303)
    for (let i = 0; i < 3; i += 1) await change({ current: 'wrong', new: 'another battery' })
    expect((await change({ current: PASSWORD, new: 'another battery' }))[0], 'guessed too often').toBe(429)
  })

  test('times are told by how far off they are', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const { app } = await start(memory)
    const ada = Visitor.inside(app)
    await ada.signUp('ada', PASSWORD)
    vi.setSystemTime(Date.now() + 3 * MINUTE)
    const { text } = await ada.get('/devices')
    const facts = [...text.matchAll(/<dt>([^<]+)<\/dt><dd><time datetime="[^"]+">([^<]+)</g)].map(([, ...fact]) => fact)
    expect(Object.fromEntries(facts)).toEqual({
      Began: '3\u00a0min ago',
      'Last active': '3\u00a0min ago',
      Ends: 'in 12\u00a0min',
    })
  })

  test('browsers are known by their user agent, whatever that says', () => {
    expect(deviceFrom(FIREFOX)).toBe('Firefox 140 on Linux')
    expect(deviceFrom('curl/8.5.0')).toMatch(/^\S/)
    expect(deviceFrom(undefined)).toMatch(/^Something/)
    expect(deviceFrom('x'.repeat(100_000)).length).toBeLessThan(100)
  })
})
