/** The process that sends the requests, so that the application's CPU time is the application's own. */
import { drive, logIn } from '../requests/drive.ts'
import { Remote, serve } from './rpc.ts'

const handlers = { drive, logIn }

export type LoadProcess = Remote<typeof handlers>

export function startLoad(): LoadProcess {
  return new Remote(import.meta.filename)
}

if (process.argv[1] === import.meta.filename && process.send) serve(handlers)
