import { stderr } from 'node:process'

/** Says what is being done, in one line that is written over in a terminal, and elsewhere in a line every ten seconds. */
export class Progress {
  readonly #begun = performance.now()
  #said = 0
  #level = ''
  #steps = 0
  #done = 0

  /** @param steps how often `step` will be called */
  begin(level: string, steps: number): void {
    this.#level = level
    this.#steps = steps
    this.#done = 0
    this.say(`${this.#time()}  ${level}`)
  }

  step(what: string): void {
    const share = Math.floor((100 * this.#done) / this.#steps)
    this.#done += 1
    const line = `${this.#time()}  ${this.#level} ${share} %  ${what}`
    if (stderr.isTTY) stderr.write(`\r\u001B[2K${line}`)
    else if (performance.now() > this.#said + 10_000) this.say(line)
  }

  /** A line that stays. */
  say(text: string): void {
    this.#said = performance.now()
    stderr.write(`${stderr.isTTY ? '\r\u001B[2K' : ''}${text}\n`)
  }

  #time(): string {
    const seconds = Math.floor((performance.now() - this.#begun) / 1000)
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
  }
}
