// Two processes on one file for half a minute: `pnpm --filter @session-stores/sqlite stress [seconds] [processes]`.
import { hammer } from './hammer.ts'

const [seconds = '30', processes = '2'] = process.argv.slice(2)
const reports = await hammer(Number(processes), Number(seconds) * 1000)
for (const { saves, delay } of reports) {
  const { p50, p99, max } = delay
  console.log(
    `${Math.round(saves / Number(seconds))} saves/s, event loop delay p50 ${p50.toFixed(1)} p99 ${p99.toFixed(1)} max ${max.toFixed(1)} ms`,
  )
}
console.log('nothing lost, no errors')
