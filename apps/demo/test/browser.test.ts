import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { Gate } from '@session-stores/testing'
import { findProgram } from '@session-stores/testing/unprivileged'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { demos, isTested, memory, PASSWORD, redis, type StoreCase, sqlite } from './demo.ts'

const names = ['chromium', 'chromium-browser', 'google-chrome']
const found = process.env.CHROMIUM || names.map((name) => findProgram(name, [])).find(Boolean)
const skipped = process.env.SKIP_CHROMIUM === '1'
if (skipped) console.warn('The demo was not tried in a browser: SKIP_CHROMIUM is 1')
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

describe.skipIf(skipped)('in a real browser', () => {
  const { start } = demos()
  let browser: Browser
  let contexts: BrowserContext[]
  let origin: string
  /** What the browser complains about: scripts that fail, and anything the content security policy refuses. */
  let complaints: string[]
  /** Where slow saves wait. */
  let gate: Gate

  beforeAll(async () => {
    if (!found)
      throw new Error('no Chromium: install it, name it in CHROMIUM, or skip these tests with SKIP_CHROMIUM=1')
    const quiet = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking']
    browser = await chromium.launch({
      executablePath: found,
      args: [...quiet, '--disable-component-update', '--disable-sync'],
      chromiumSandbox: false, // it cannot be used by root, and the only pages are our own
    })
  })

  afterAll(() => browser?.close())

  beforeEach(() => {
    gate = new Gate()
    contexts = []
    complaints = []
  })

  afterEach(async () => {
    gate.open()
    for (const context of contexts) await context.close()
  })

  async function serve(store: StoreCase): Promise<void> {
    const { app } = await start(store, { pause: () => gate.pass() })
    origin = await app.listen({ host: '127.0.0.1', port: 0 })
  }

  /** A page in a browser of its own: it shares no cookies with others. */
  async function open(options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
    const context = await browser.newContext({ baseURL: origin, ...options })
    contexts.push(context)
    context.setDefaultTimeout(20_000)
    const page = await context.newPage()
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
    })
    return page
  }

  async function fillIn(page: Page, path: '/signup' | '/login'): Promise<void> {
    await page.goto(path)
    await page.getByLabel('Name').fill('ada')
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('button', { name: path === '/signup' ? 'Sign up' : 'Log in' }).click()
    await page.waitForURL('**/profile')
  }

  const cookiesOf = (page: Page) => page.context().cookies()

  describe.each([sqlite, redis].filter(isTested))('with the $name store', (store) => {
    beforeEach(() => serve(store))

    test('sign up, count down, change things, log out, log in again', async () => {
      const page = await open()
      await page.goto('/')
      expect(await cookiesOf(page)).toEqual([])
      await fillIn(page, '/signup')
      expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Hello, ada')
      expect(await cookiesOf(page)).toMatchObject([
        { name: 'session-stores-demo', httpOnly: true, sameSite: 'Lax', secure: false },
      ])
      expect(await page.evaluate('document.cookie'), 'no script sees the cookie').toBe('')

      const clock = page.locator('#idle')
      const before = await clock.textContent()
      expect(before).toMatch(/^1[45]\smin(\s\d+\ss)?$/)
      await expect.poll(() => clock.textContent(), { timeout: 5000 }).not.toBe(before)

      const nasty = '</textarea><script>document.title = "taken"</script>'
      await page.getByLabel('Note').fill(nasty)
      await page.getByRole('button', { name: 'Save note' }).click()
      await expect.poll(() => page.locator('#fields').textContent()).toContain(nasty)
      expect(await page.getByLabel('Note').inputValue()).toBe(nasty)
      expect(await page.title()).toContain('Profile')

      await page.getByRole('button', { name: 'Log out' }).click()
      await page.waitForURL(`${origin}/`)
      expect(await cookiesOf(page)).toEqual([])
      await page.goBack()
      expect(new URL(page.url()).pathname, 'the profile is in no cache to go back to').toBe('/login')
      await fillIn(page, '/login')
      expect(complaints).toEqual([])
    })

    test('two tabs: both changes stay, and a log-out stays', async () => {
      const slow = await open()
      await fillIn(slow, '/signup')
      const other = await slow.context().newPage()
      await other.goto('/profile')

      await slow.getByLabel('Note').fill('written slowly')
      await slow.getByLabel(/Take/).check()
      const saved = slow.waitForResponse((answer) => answer.url().endsWith('/note'))
      await slow.getByRole('button', { name: 'Save note' }).click({ noWaitAfter: true })
      await gate.entered(1)
      await other.getByLabel('plum').check()
      await other.getByRole('button', { name: 'Save colour' }).click()
      await expect.poll(() => other.locator('#fields').textContent()).toContain('plum')
      gate.open()
      await saved
      await other.goto('/profile')
      expect(await other.getByLabel('Note').inputValue()).toBe('written slowly')
      expect(await other.getByLabel('plum').isChecked()).toBe(true)

      await other.getByRole('button', { name: 'Log out' }).click()
      await other.waitForURL(`${origin}/`)
      await slow.goto('/profile')
      expect(new URL(slow.url()).pathname).toBe('/login')
      expect(complaints).toEqual([])
    })

    test('two browsers: one sees the other, ends it, and ends it again by a new password', async () => {
      const laptop = await open()
      await fillIn(laptop, '/signup')
      const iphone =
        'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1'
      const phone = await open({ userAgent: iphone })
      await fillIn(phone, '/login')

      await laptop.goto('/devices')
      await laptop.getByRole('button', { name: /^End the session of Safari 18 on iOS, begun/ }).click()
      await laptop.getByText('Safari 18 on iOS was logged out.').waitFor()
      await phone.goto('/profile')
      expect(new URL(phone.url()).pathname).toBe('/login')

      await fillIn(phone, '/login')
      await laptop.getByLabel('Present password').fill(PASSWORD)
      await laptop.getByLabel('New password').fill('another battery')
      await laptop.getByRole('button', { name: /^Change it/ }).click()
      await laptop.getByText('Your password is changed. One other session was ended.').waitFor()
      await phone.goto('/profile')
      expect(new URL(phone.url()).pathname).toBe('/login')
      await laptop.goto('/profile')
      expect(new URL(laptop.url()).pathname).toBe('/profile')
      expect(complaints).toEqual([])
    })

    test('what the store does is seen as it happens, and a race is run and won', async () => {
      const page = await open()
      await fillIn(page, '/signup')
      await page.goto('/watch')
      await page.locator('#chart svg').waitFor()
      const other = await page.context().newPage()
      await other.goto('/profile')
      await other.getByLabel('plum').check()
      await other.getByRole('button', { name: 'Save colour' }).click()
      await expect.poll(() => page.locator('#lines').textContent()).toContain('set written')
      expect(await page.locator('#chart rect').count()).toBeGreaterThan(0)

      await page.getByRole('button', { name: 'Pause' }).click()
      const paused = await page.locator('#lines').textContent()
      await other.goto('/profile')
      await page.getByRole('button', { name: 'Go on' }).click()
      await other.goto('/profile')
      await expect.poll(() => page.locator('#lines').textContent()).not.toBe(paused)

      expect(await page.locator('#at-rest').textContent()).toContain('not in there')

      await page.goto('/trials')
      await page.getByRole('button', { name: 'Run it: Log-out during a slow request' }).click()
      await page.getByText('The user stays logged out.').waitFor()
      await page.getByText('The user is logged in again.').waitFor()
      expect(complaints).toEqual([])
    })
  })

  test.runIf(isTested(redis))('an outage is drawn as it goes on, and everybody stays logged in', async () => {
    await serve(redis)
    const page = await open()
    await fillIn(page, '/signup')
    await page.goto('/outage')
    await page.getByRole('button', { name: 'Freeze the server' }).click()
    await page.locator('#time-line rect.failed').first().waitFor()
    await page.getByRole('button', { name: 'Bring it back' }).click()
    await expect.poll(() => page.locator('#time-line').textContent()).toMatch(/The server is back.*logged in/s)
    await page.goto('/profile')
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Hello, ada')
    expect(complaints).toEqual([])
  })

  test.each([
    { width: 375, height: 700, colorScheme: 'dark' },
    { width: 1280, height: 800, colorScheme: 'light' },
  ] as const)(
    'in $colorScheme colours, every page fits $width px, weighs under 60 KB, and axe-core finds nothing',
    async (how) => {
      const { colorScheme, ...viewport } = how
      await serve(memory)
      const page = await open({ viewport, colorScheme, reducedMotion: 'reduce' })
      let bodies: Array<Promise<Buffer>> = []
      page.on('response', (answer) => {
        const isWhole = answer.status() === 200 && !answer.url().endsWith('/events')
        if (isWhole) bodies.push(answer.body().catch(() => Buffer.alloc(0)))
      })
      const look = async (path: string) => {
        const bytes = (await Promise.all(bodies.splice(0))).reduce((sum, { length }) => sum + length, 0)
        const width = await page.evaluate('document.documentElement.scrollWidth')
        // Not by a tag in the page, which its content security policy refuses
        await page.evaluate(await readFile(axe, 'utf8'))
        const { violations } = (await page.evaluate('axe.run()')) as AxeResults
        const found = violations.map(({ id, nodes }) => `${id} at ${nodes.map(({ html }) => html).join(', ')}`)
        expect({ path, width, bytes, isLight: bytes < 60 * 1024, found }).toEqual({
          path,
          width: how.width,
          bytes,
          isLight: true,
          found: [],
        })
      }
      const visit = async (path: string) => {
        bodies = []
        await page.goto(path)
        await look(path)
      }

      for (const path of ['/', '/login', '/signup', '/nowhere']) await visit(path)
      await fillIn(page, '/signup')
      await page.getByLabel('Note').fill('x'.repeat(280))
      await page.getByRole('button', { name: 'Save note' }).click()
      await expect.poll(() => page.locator('#fields').textContent()).toContain('xxx')
      const pages = [
        '/',
        '/profile',
        '/devices',
        '/watch',
        '/trials',
        '/outage',
        '/contract',
        '/source/routes/outage.ts',
      ]
      for (const path of pages) await visit(path)
      await page.goto('/trials')
      await page.getByRole('button', { name: 'Run it: 64 at once' }).click()
      await page.getByText('64 of 64 changes are there.').waitFor()
      await look('/trials, run')
      // A page that is not there is told in the console, too
      expect(complaints.filter((text) => !text.includes('404'))).toEqual([])
    },
  )

  test('all of it works without scripts', async () => {
    await serve(sqlite)
    const page = await open({ javaScriptEnabled: false })
    await fillIn(page, '/signup')
    expect(await page.locator('#absolute').textContent()).toMatch(/^(8\sh|7\sh\s59\smin\s\d+\ss)$/)
    await page.getByLabel('rust').check()
    await page.getByRole('button', { name: 'Save colour' }).click()
    await expect.poll(() => page.locator('#fields').textContent()).toContain('rust')

    const phone = await open({ javaScriptEnabled: false })
    await fillIn(phone, '/login')
    await page.goto('/devices')
    await page.getByRole('button', { name: /^End the session of/ }).click()
    await page.getByText('was logged out.').waitFor()
    await phone.goto('/profile')
    expect(new URL(phone.url()).pathname).toBe('/login')

    await page.goto('/watch')
    expect(await page.locator('#lines').textContent()).toContain('destroy removed')
    await page.goto('/trials')
    await page.getByRole('button', { name: 'Run it: Two requests at once' }).click()
    await page.getByText('Both changes are there.').waitFor()
    await page.getByRole('button', { name: 'Log out', exact: true }).click()
    await page.waitForURL(`${origin}/`)
  })

  test('everything can be reached and used by keyboard', async () => {
    await serve(memory)
    const page = await open()
    await page.goto('/signup')
    await page.keyboard.type('ada') // the first field has the focus
    await page.keyboard.press('Tab')
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press('Enter')
    await page.waitForURL('**/profile')
    await page.goto('/devices')
    const reached: string[] = []
    for (let i = 0; i < 40; i += 1) {
      await page.keyboard.press('Tab')
      const focused = await page.evaluate(
        `(() => { const e = document.activeElement; const s = getComputedStyle(e); return [e.ariaLabel ?? e.textContent.trim(), s.outlineStyle] })()`,
      )
      const [name, outline] = focused as [string, string]
      expect([name, outline], 'the focus is seen').toEqual([name, 'solid'])
      reached.push(name)
      if (name === 'Log out everywhere') break
    }
    expect(reached).toEqual(expect.arrayContaining(['Devices', 'Log out', 'End this session', 'End all others']))
    await page.keyboard.press('Enter')
    await page.waitForURL(`${origin}/`)
    expect(complaints).toEqual([])
  })
})

interface AxeResults {
  violations: Array<{ id: string; nodes: Array<{ html: string }> }>
}
