const RealDate = Date
let offset = 0

class OffsetDate extends RealDate {
  constructor(...args: [] | [string | number | Date]) {
    if (args.length === 0) super(OffsetDate.now())
    else super(...args)
  }

  static override now(): number {
    return RealDate.now() + offset
  }
}

// Before a store is loaded, so that none has the real one.
globalThis.Date = OffsetDate as DateConstructor

/** Puts the clock of the whole process off by so many ms, as on a machine with a wrong clock. */
export function setClockOff(ms: number): void {
  offset = ms
}
