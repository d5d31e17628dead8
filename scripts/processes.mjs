// Runs other programs for the scripts beside it, and sees to it that none of them outlives the script.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'

/** The programs that run: their process ids, negative for a whole group. @type {Set<number>} */
const running = new Set()
/** The first signal that asked this script to end. @type {{ signal: NodeJS.Signals, at: number } | undefined} */
let end

/** The exit code for a run that a signal ended; undefined while none has come. */
export function ended() {
  return end && codeOf(end.signal)
}

/**
 * Runs a program to its end. `quiet` keeps its output back and shows it only when the program fails; `kept` shows it and
 * keeps it, too; `interactive` lets it read from the terminal.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions & { quiet?: boolean, kept?: boolean, interactive?: boolean }} options
 * @returns {Promise<{ code: number, stdout: string }>} the exit code and, if `quiet` or `kept`, what it printed
 */
export function run(command, args, { quiet = false, kept = false, interactive = false, ...options }) {
  return new Promise((resolve, reject) => {
    const input = interactive ? 'inherit' : 'ignore'
    const output = quiet || kept ? 'pipe' : 'inherit'
    // In a process group of its own: Ctrl-C in a terminal signals this script's whole group, and npm passes the signal
    // on besides. The program shall get it once, from here, together with the programs it started.
    const child = spawn(command, args, { ...options, detached: !interactive, stdio: [input, output, output] })
    child.on('error', reject)
    if (child.pid === undefined) return
    const target = interactive ? child.pid : -child.pid
    running.add(target)
    if (end) kill(target, end.signal)

    let stdout = ''
    let all = ''
    child.stdout?.on('data', (chunk) => {
      stdout += chunk
      all += chunk
      if (kept) process.stdout.write(chunk)
    })
    child.stderr?.on('data', (chunk) => {
      all += chunk
      if (kept) process.stderr.write(chunk)
    })
    child.on('close', (status, signal) => {
      running.delete(target)
      const code = status ?? codeOf(signal)
      if (quiet && code !== 0 && !end) process.stderr.write(all)
      resolve({ code, stdout })
    })
  })
}

/** @param {NodeJS.Signals} signal */
function endAll(signal) {
  // Ctrl-C in a terminal comes here twice, by itself and through npm. Only one that comes later means "at once".
  if (end && Date.now() - end.at < 500) return
  for (const target of running) kill(target, end ? 'SIGKILL' : signal)
  end ??= { signal, at: Date.now() }
}

/** @param {number} target @param {NodeJS.Signals} signal */
function kill(target, signal) {
  try {
    process.kill(target, signal)
  } catch {
    // It is gone already
  }
}

/** What a shell answers for a program that a signal ended. @param {NodeJS.Signals | null} signal */
function codeOf(signal) {
  return 128 + (signal ? constants.signals[signal] : 0)
}

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(signal, () => endAll(signal))

// npm passes signals on, but not when it is killed outright, and a shell between npm and this script may not either.
if (process.env.npm_lifecycle_event) {
  const parent = process.ppid
  setInterval(() => {
    if (process.ppid !== parent && !end) endAll('SIGTERM')
  }, 500).unref()
}
