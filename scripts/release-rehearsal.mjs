// npm run release:rehearsal: a whole release into a registry of its own on this machine, and what users then do with it.
// It is one of the tests (apps/packaging/test/rehearsal.test.ts), so npm test runs it too.
import { join } from 'node:path'
import { run } from './processes.mjs'
import { root } from './toolchain.mjs'

const test = [join(root, 'scripts', 'test.mjs'), 'packaging', '--', 'test/rehearsal.test.ts', '--reporter=verbose']
const { code } = await run(process.execPath, test, { cwd: root })
process.exit(code)
