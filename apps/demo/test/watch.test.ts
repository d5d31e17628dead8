import { randomBytes } from 'node:crypto'
import { until } from '@session-stores/testing'
import { describe, expect, test } from 'vitest'
import { Activity } from '../src/activity.ts'
import { hexDump } from '../src/routes/watch.ts'
import { demos, memory, PASSWORD, stores } from './demo.ts'
import { Visitor } from './visitor.ts'

const { start, serve } = demos()

/** The session's id, as the cookie has it before the signature. */
function idOf(visitor: Visitor): string {
  return decodeURIComponent(visitor.cookies.get('session-stores-demo') ?? '').split('.')[0] as string
}

function storedText(text: string): string {
  return /as text">([^<]*)<\/pre>/.exec(text)?.[1]?.replaceAll('&#39;', "'").replaceAll('&quot;', '"') ?? ''
}

describe.each(stores)('with the $name store', (store) => {
  serve(store)

  test('the page shows what the server holds of this session, and the id is not in it', async () => {
    const { app, sessions } = await start(store)
    const ada = Visitor.inside(app)
    await ada.signUp('ada', PASSWORD)
    await ada.submit('/profile', '/note', { note: 'for my eyes' })
    const { text } = await ada.get('/watch')
    expect(storedText(text)).toContain('for my eyes')
    expect(text).toContain(sessions.store.handleOf(idOf(ada)))
    expect(text).toContain('<strong>not in there</strong>')
    expect(text).not.toContain(idOf(ada))
  })

  test('sealed, nothing of it can be read', async () => {
    const { app } = await start(store, {}, { encryptionKeys: [randomBytes(32).toString('base64url')] })
    const ada = Visitor.inside(app)
    await ada.signUp('ada', PASSWORD)
    await ada.submit('/profile', '/note', { note: 'for my eyes' })
    const { text } = await ada.get('/watch')
    expect(storedText(text)).not.toBe('')
    expect(storedText(text)).not.toContain('for my eyes')
    expect(text).toContain('<strong>sealed</strong>')
    expect((await ada.get('/profile')).text).toContain('>for my eyes</textarea>')
  })
})

describe('live', () => {
  test('each line comes as it happens, with its outcome and how long it took', async () => {
    const { app } = await start(memory)
    const ada = Visitor.at(await app.listen({ host: '127.0.0.1', port: 0 }))
    await ada.signUp('ada', PASSWORD)
    const id = idOf(ada)
    const stream = await ada.open('/watch/events')
    expect(stream.headers.get('content-type')).toBe('text/event-stream')
    let came = ''
    const reading = (async () => {
      for await (const chunk of stream.body ?? []) came += Buffer.from(chunk).toString()
    })()
    await ada.get('/profile')
    await ada.submit('/profile', '/colour', { colour: 'plum' })
    await ada.logOut()
    await until('all lines', () => came.includes('destroy removed'))
    const states = came.split('\n\n').flatMap((event) => (event ? [JSON.parse(event.replace(/^data: /, ''))] : []))
    const names = states.flatMap(({ lines }) => lines.map(({ name }: { name: string }) => name))
    expect(names).toEqual(expect.arrayContaining(['get hit', 'set skipped', 'set written', 'destroy removed']))
    for (const { duration } of states.flatMap(({ lines }) => lines)) expect(duration).toBeGreaterThanOrEqual(0)
    const last = states.at(-1)
    expect(last.counts['destroy removed']).toBe(1)
    expect(last.minute).toHaveLength(60)
    expect(came).not.toContain(id)

    await app.close() // ends the stream, too
    await reading
  })

  test('only for who is logged in, and watching keeps nobody logged in', async () => {
    const { app } = await start(memory)
    const ada = Visitor.at(await app.listen({ host: '127.0.0.1', port: 0 }))
    expect((await ada.open('/watch/events')).status).toBe(303)
    await ada.signUp('ada', PASSWORD)
    const activity = new Activity()
    activity.start()
    const stream = await ada.open('/watch/events')
    await stream.body?.cancel()
    activity.stop()
    expect(activity.counts).toEqual({ 'get hit': 1 })
  })

  test('without scripts the page shows the latest lines and the counts', async () => {
    const { app } = await start(memory)
    const ada = Visitor.inside(app)
    await ada.signUp('ada', PASSWORD)
    const { text } = await ada.get('/watch')
    expect(text).toContain('<code>set written</code>')
    expect(text).toMatch(/<th scope="row"><code>get hit<\/code><\/th><td class="number">\d+</)
  })

  test('a minute is sixty seconds, and what is older is forgotten', () => {
    const activity = new Activity()
    expect(activity.lastMinute()).toHaveLength(60)
    expect(hexDump(Buffer.from('{"note":"für Ada"}'))).toBe(
      '0000  7b 22 6e 6f 74 65 22 3a 22 66 c3 bc 72 20 41 64  {"note":"f..r Ad\n' +
        `0010  61 22 7d${' '.repeat(41)}a"}`,
    )
  })
})
