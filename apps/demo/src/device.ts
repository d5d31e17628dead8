import Bowser from 'bowser'

/** What a user agent says of itself, for its owner to know it again: `Firefox 140 on Linux`. */
export function deviceFrom(userAgent: string | undefined): string {
  if (!userAgent) return 'Something that does not say what it is'
  const { browser, os } = Bowser.parse(userAgent.slice(0, 512))
  const version = browser.version?.split('.')[0]
  const program = browser.name ? [browser.name, version].filter(Boolean).join(' ') : 'An unknown browser'
  return os.name ? `${program} on ${os.name}` : program
}
