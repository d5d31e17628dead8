// The workflows: right by actionlint, every action pinned to a commit, no rights beyond what each job needs, no tokens.
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, test } from 'vitest'
import { lintWorkflow } from '../src/actionlint.ts'
import { root } from '../src/workspace.ts'

const workflows = globSync('.github/workflows/*.yml', { cwd: root }).sort()

test('there are two', () => {
  assert.deepEqual(
    workflows.map((path) => basename(path)),
    ['ci.yml', 'release.yml'],
  )
})

test('actionlint sees faults', async () => {
  const [fault] = await lintWorkflow(
    `on: push\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo \${{ nothing.here }}\n`,
    'x.yml',
  )
  assert.match(fault ?? '', /undefined variable "nothing"/)
})

describe.each(workflows)('%s', (path) => {
  const text = readFileSync(join(root, path), 'utf8')

  test('actionlint has nothing to say', async () => {
    assert.deepEqual(await lintWorkflow(text, path), [])
  })

  test('nothing is allowed but what a job asks for', () => {
    assert.match(text, /^permissions: \{\}$/m)
    assert.doesNotMatch(text, /pull_request_target|workflow_run|write-all/)
    const jobs = text.split(/^jobs:$/m)[1]?.match(/^ {2}\w+:$/gm) ?? []
    assert.equal(text.match(/^ {4}permissions:$/gm)?.length, jobs.length)
    assert.equal(text.match(/^ {4}timeout-minutes: \d+$/gm)?.length, jobs.length)
    assert.equal(text.match(/persist-credentials: false/g)?.length, text.match(/actions\/checkout@/g)?.length)
  })

  test('knows no secret', () => {
    assert.doesNotMatch(text, /secrets\.|_TOKEN/)
  })
})

test('every action is pinned to a commit, the same everywhere, and its version is told', () => {
  const pins = new Map<string, string>()
  for (const path of globSync('.github/**/*.yml', { cwd: root })) {
    for (const [, used = '', comment] of readFileSync(join(root, path), 'utf8').matchAll(/\buses: (\S+)(.*)$/gm)) {
      if (used.startsWith('./')) continue
      const [name = '', commit = ''] = used.split('@')
      const repository = name.split('/').slice(0, 2).join('/')
      assert.match(commit, /^[0-9a-f]{40}$/, used)
      assert.match(comment ?? '', /^ # v\d+\.\d+\.\d+$/, used)
      assert.equal(pins.get(repository) ?? commit, commit, used)
      pins.set(repository, commit)
    }
  }
  assert.deepEqual([...pins.keys()].sort(), ['actions/checkout', 'actions/setup-node', 'changesets/action'])
})
