import { execFile } from 'node:child_process'
import { userEnvironment } from './environment.ts'

export interface Outcome {
  code: number
  /** What it printed, to either stream. */
  output: string
  stdout: string
}

/** Runs a program to its end, as a user would. Never rejects: what a program says when it fails is of interest here. */
export function attempt(command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const options = { cwd, env: { ...userEnvironment(), ...env }, maxBuffer: 1e8, timeout: 240_000 }
    execFile(command, args, options, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') return reject(new Error(`${command}: ${stderr}`, { cause: error }))
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr, stdout })
    })
  })
}

/** The same for a program that must succeed. Resolves with what it printed to its standard output. */
export async function run(command: string, args: string[], cwd: string, env?: NodeJS.ProcessEnv): Promise<string> {
  const { code, output, stdout } = await attempt(command, args, cwd, env)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${output}`)
  return stdout
}
