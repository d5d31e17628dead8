// npm run demo:screenshots: the pictures in README.md, of a demo in which something has happened.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findProgram } from '@session-stores/testing/unprivileged'
import { chromium, type Locator, type Page } from 'playwright-core'
import { buildApp } from '../src/app.ts'
import { openStore } from '../src/stores/index.ts'
import { Users } from '../src/users.ts'

const names = ['chromium', 'chromium-browser', 'google-chrome']
const executablePath = process.env.CHROMIUM || names.map((name) => findProgram(name, [])).find(Boolean)
if (!executablePath) throw new Error('no Chromium: install it, or name it in CHROMIUM')
const pictures = fileURLToPath(new URL('../screenshots/', import.meta.url))

const folder = mkdtempSync(join(tmpdir(), 'demo-screenshots-'))
const sessions = await openStore({ store: 'redis', dataFolder: folder }, {})
const users = new Users(join(folder, 'users.sqlite'))
const app = buildApp(sessions, {
  users,
  secret: 'a secret of the pictures, 32 or more',
  idleTimeout: 15 * 60_000,
  absoluteTimeout: 8 * 3_600_000,
  trustProxy: false,
})
const baseURL = await app.listen({ host: '127.0.0.1', port: 0 })
const browser = await chromium.launch({ executablePath, chromiumSandbox: false })

try {
  const laptop = await open()
  await logIn(laptop, '/signup')
  const phone = await open(
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1',
  )
  await logIn(phone, '/login')
  await laptop.goto('/devices')
  await picture(laptop, 'devices')

  await laptop.goto('/trials')
  await laptop.getByRole('button', { name: 'Run it: Log-out during a slow request' }).click()
  await laptop.getByText('The user stays logged out.').waitFor()
  await laptop.goto('/watch')
  for (let i = 0; i < 5; i += 1) {
    await phone.goto('/profile')
    await phone.getByLabel(['plum', 'green'][i % 2] ?? '').check()
    await phone.getByRole('button', { name: 'Save colour' }).click()
    await laptop.waitForTimeout(1000) // a bar for each second
  }
  await picture(laptop, 'watch')

  await laptop.goto('/outage')
  await laptop.getByRole('button', { name: 'Freeze the server' }).click()
  await laptop.waitForTimeout(4000)
  await laptop.getByRole('button', { name: 'Bring it back' }).click()
  await laptop.waitForTimeout(2500)
  await picture(laptop.locator('main'), 'outage')
} finally {
  await browser.close()
  await app.close()
  await sessions.close()
  users.close()
  rmSync(folder, { recursive: true })
}

async function open(userAgent?: string): Promise<Page> {
  const context = await browser.newContext({
    baseURL,
    viewport: { width: 960, height: 720 },
    ...(userAgent ? { userAgent } : {}),
  })
  return context.newPage()
}

async function logIn(page: Page, path: string): Promise<void> {
  await page.goto(path)
  await page.getByLabel('Name').fill('ada')
  await page.getByLabel('Password').fill('correct horse battery')
  await page.locator('main button').click()
  await page.waitForURL('**/profile')
}

/** JPEG, which is a third of a PNG here. */
async function picture(what: Page | Locator, name: string): Promise<void> {
  await what.screenshot({ path: join(pictures, `${name}.jpg`), type: 'jpeg', quality: 70 })
}
