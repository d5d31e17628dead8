import { describe, expect, test } from 'vitest'
import { newVersion, recordFromText, recordToText, withExpiry } from '../src/index.ts'

describe('a record as one text', () => {
  const version = newVersion()
  const records = [
    { data: '{"a":1}', createdAt: 1_700_000_000_000, expiresAt: 1_700_000_060_000 },
    { data: '', createdAt: 0, expiresAt: 8.64e15, userId: '' },
    { data: 'several\nlines "quoted" 🙂', createdAt: -1, expiresAt: -1, userId: 'user "7"\n' },
  ]

  test('is read as it was written', () => {
    for (const record of records) expect(recordFromText(recordToText(record, version))).toEqual({ record, version })
  })

  test('takes another expiry, and nothing else changes', () => {
    for (const record of records) {
      const moved = withExpiry(recordToText(record, version), 1_800_000_000_000)
      expect(recordFromText(moved)).toEqual({ record: { ...record, expiresAt: 1_800_000_000_000 }, version })
    }
  })

  test('that was written otherwise is unreadable', () => {
    const [sound] = records.map((record) => recordToText(record, version)) as [string]
    for (const text of ['', '{}', 'x', sound.slice(0, 30), sound.replace('\n', ' '), sound.replace('\n', ' "user\n')]) {
      expect(recordFromText(text), text).toBe('unreadable')
    }
  })

  test('of another release’s layout is an error that says so, and no missing session', () => {
    const text = recordToText({ data: '{}', createdAt: 0, expiresAt: 1 }, version).replace(/^1/, '2')
    expect(() => recordFromText(text)).toThrow(
      expect.objectContaining({ code: 'SESSION_LAYOUT_UNKNOWN', statusCode: 503 }),
    )
  })
})
