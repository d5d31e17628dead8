/** npm run bench: see USAGE in options.ts. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { entriesFor } from './bench.ts'
