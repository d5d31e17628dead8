import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Gate } from '@session-stores/testing'
import { findProgram } from '@session-stores/testing/unprivileged'
import type { FastifyInstance } from 'fastify'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buildApp } from '../src/app.ts'
import { type OpenedStore, openStore } from '../src/stores/index.ts'
import { Users } from '../src/users.ts'

const names = ['chromium', 'chromium-browser', 'google-chrome']
const found = process.env.CHROMIUM || names.map((name) => findProgram(name, [])).find(Boolean)
const skipped = process.env.SKIP_CHROMIUM === '1'
if (skipped) console.warn('The demo was not tried in a browser: SKIP_CHROMIUM is 1')

describe.skipIf(skipped)('in a real browser', () => {
  let browser: Browser
  let context: BrowserContext
  let folder: string
  let app: FastifyInstance
  let sessions: OpenedStore
  let users: Users
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

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'demo-test-'))
    sessions = await openStore({ store: 'memory', dataFolder: folder }, {})
    users = new Users(join(folder, 'users.sqlite'))
    gate = new Gate()
    app = buildApp(sessions, {
      users,
      secret: 'a secret of the tests, 32 or more',
      idleTimeout: 15 * 60_000,
      absoluteTimeout: 8 * 3_600_000,
      trustProxy: false,
      pause: () => gate.pass(),
    })
    origin = await app.listen({ host: '127.0.0.1', port: 0 })
    complaints = []
  })

  afterEach(async () => {
    gate.open()
    await context?.close()
    await app.close()
    await sessions.close()
    users.close()
    rmSync(folder, { recursive: true })
  })

  async function open(options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
    context = await browser.newContext({ baseURL: origin, ...options })
    context.setDefaultTimeout(10_000)
    const page = await context.newPage()
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
    })
    return page
  }

  async function signUp(page: Page): Promise<void> {
    await page.goto('/signup')
    await page.getByLabel('Name').fill('ada')
    await page.getByLabel('Password').fill('correct horse battery')
    await page.getByRole('button', { name: 'Sign up' }).click()
    await page.waitForURL('**/profile')
  }

  test('sign up, count down, change things, log out, log in again', async () => {
    const page = await open()
    await page.goto('/')
    expect(await context.cookies()).toEqual([])
    await signUp(page)
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Hello, ada')
    expect(await context.cookies()).toMatchObject([
      { name: 'session-stores-demo', httpOnly: true, sameSite: 'Lax', secure: false },
    ])
    expect(await page.evaluate('document.cookie'), 'no script sees the cookie').toBe('')

    const clock = page.locator('#idle')
    const before = await clock.textContent()
    expect(before).toMatch(/^1[45]\smin\s\d+\ss$/)
    await expect.poll(() => clock.textContent(), { timeout: 5000 }).not.toBe(before)

    const nasty = '</textarea><script>document.title = "taken"</script>'
    await page.getByLabel('Note').fill(nasty)
    await page.getByRole('button', { name: 'Save note' }).click()
    await expect.poll(() => page.locator('#fields').textContent()).toContain(nasty)
    expect(await page.getByLabel('Note').inputValue()).toBe(nasty)
    expect(await page.title()).toContain('Profile')

    await page.getByRole('button', { name: 'Log out' }).click()
    await page.waitForURL(`${origin}/`)
    expect(await context.cookies()).toEqual([])
    await page.goBack()
    expect(new URL(page.url()).pathname, 'the profile is in no cache to go back to').toBe('/login')

    await page.getByLabel('Name').fill('ada')
    await page.getByLabel('Password').fill('correct horse battery')
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.waitForURL('**/profile')
    expect(complaints).toEqual([])
  })

  test('two tabs: both changes stay, and a log-out stays', async () => {
    const slow = await open()
    await signUp(slow)
    const other = await context.newPage()
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

  test.each([
    { width: 375, height: 700 },
    { width: 1280, height: 800 },
  ])('every page fits a window of $width px', async (viewport) => {
    const page = await open({ viewport })
    const widest = () => page.evaluate('document.documentElement.scrollWidth')
    for (const path of ['/', '/login', '/signup']) {
      await page.goto(path)
      expect(await widest()).toBe(viewport.width)
    }
    await signUp(page)
    await page.getByLabel('Note').fill('x'.repeat(280))
    await page.getByRole('button', { name: 'Save note' }).click()
    await expect.poll(() => page.locator('#fields').textContent()).toContain('xxx')
    expect(await widest()).toBe(viewport.width)
    expect(complaints).toEqual([])
  })

  test('all of it works without scripts', async () => {
    const page = await open({ javaScriptEnabled: false })
    await signUp(page)
    expect(await page.locator('#absolute').textContent()).toMatch(/^(8\sh|7\sh\s59\smin\s\d+\ss)$/)
    await page.getByLabel('rust').check()
    await page.getByRole('button', { name: 'Save colour' }).click()
    await expect.poll(() => page.locator('#fields').textContent()).toContain('rust')
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.waitForURL(`${origin}/`)
  })
})
