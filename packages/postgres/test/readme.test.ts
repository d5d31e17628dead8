import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { migrations } from '../src/index.ts'

test('the README shows the statements that make the table', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  expect(readme).toContain(
    `\`\`\`sql\n${migrations()
      .map(({ sql }) => sql)
      .join('\n')}\`\`\`\n`,
  )
})
