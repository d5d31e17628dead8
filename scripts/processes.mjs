// Runs other programs for the scripts beside it, and sees to it that none of them outlives the script.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'

/** Running programs: their process ids, negative for a whole group. */
const targets = new Set()
let end

/** The exit code for a run that a signal ended, or undefined while none has come. */
export function ended() {
  return end && 128 + constants.signals[end.signal]
}

/**
 * Runs a program to its end and resolves to its exit code and what it printed. `quiet` keeps its output back and shows
 * it only when the program fails; `interactive` lets it read from the terminal.
 */
export function run(command, args, { quiet = false, interactive = false, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const output = quiet ? 'pipe' : 'inherit'
    // In a process group of its own: Ctrl-C in a terminal signals this script's whole group, and npm passes the signal
    // on besides. The child shall get it once, from here, together with its own children.
    const detached = !interactive
    const child = spawn(command, args, {
      ...options,
      detached,
      stdio: [detached ? 'ignore' : 'inherit', output, output],
    })
    const target = detached ? -child.pid : child.pid
    let stdout = ''
    let all = ''
    child.stdout?.on('data', (chunk) => {
      stdout += chunk
      all += chunk
    })
    child.stderr?.on('data', (chunk) => {
      all += chunk
    })
    if (child.pid) targets.add(target)
    child.on('error', reject)
    child.on('close', (status, signal) => {
      targets.delete(target)
      const code = status ?? 128 + constants.signals[signal]
      if (quiet && code !== 0 && !end) process.stderr.write(all)
      resolve({ code, stdout })
    })
    if (end) kill(target, end.signal)
  })
}

function endAll(signal) {
  // Ctrl-C reaches this script twice. Only one that comes later means "at once".
  if (end && Date.now() - end.at < 500) return
  const last = end ? 'SIGKILL' : signal
  end ??= { signal, at: Date.now() }
  for (const target of targets) kill(target, last)
}

function kill(target, signal) {
  try {
    process.kill(target, signal)
  } catch {
    // It is gone already
  }
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => endAll(signal))

// npm passes signals on, but not when it is killed outright, and a shell between npm and this script may not either.
if (process.env.npm_lifecycle_event) {
  const parent = process.ppid
  setInterval(() => {
    if (process.ppid !== parent && !end) endAll('SIGTERM')
  }, 500).unref()
}
