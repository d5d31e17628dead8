import type { Contestant, Place, Table } from '../contestants/contestant.ts'

/** What a kind of store keeps its sessions in, seen from outside of any store. */
export interface Server {
  /** As it says itself. */
  readonly version: string
  /** On loopback; 0 where there is none. */
  readonly port: number
  /** Of the process that does its work; undefined where that is the application's. */
  readonly pid: number | undefined
  /** A place for the contestant of this name, empty at first. */
  placeFor(name: string): Promise<Place>
  /** Removes all sessions of the contestant. */
  clear(contestant: Contestant, place: Place): Promise<void>
  /** Everything it keeps for the contestant, as text: keys and values. */
  dump(contestant: Contestant, place: Place): Promise<string>
  /** Puts what no store has written in place of each stored session. */
  spoil(contestant: Contestant, place: Place): Promise<void>
  /** How many bytes it needs for the sessions it keeps now. */
  size(contestant: Contestant, place: Place): Promise<number>
  /** How often each command was asked of it so far, by name; undefined where there is nobody to ask. */
  commands?(): Promise<Record<string, number>>
  /** Whether what it keeps with this in its text will never go by itself. */
  keepsForEver?(text: string): Promise<boolean>
  /** How it can be taken away. */
  outages: Outage[]
  stop(): Promise<void>
}

export type OutageName = 'frozen' | 'dead' | 'locked'

export interface Outage {
  name: OutageName
  /** Resolves to what brings it back. */
  begin(place: Place): Promise<() => unknown>
}

/** Of a server process: it keeps its connections and answers nothing, or it is gone. */
export function outagesOf(server: {
  pause(): unknown
  resume(): unknown
  kill(): Promise<void>
  comeBack(): Promise<void>
}): Outage[] {
  return [
    {
      name: 'frozen',
      begin: async () => {
        await server.pause()
        return server.resume
      },
    },
    {
      name: 'dead',
      begin: async () => {
        await server.kill()
        return server.comeBack
      },
    },
  ]
}

export function tableOf({ name, table }: Contestant): Table {
  if (table === undefined) throw new Error(`${name} has no table`)
  return table
}
