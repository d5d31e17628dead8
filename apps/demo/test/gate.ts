/** A pause that lasts until it is opened, and tells when somebody has come to it. */
export class Gate {
  readonly reached: Promise<void>
  readonly pause: () => Promise<void>
  open: () => void = () => {}
  #reach: () => void = () => {}

  constructor() {
    this.reached = new Promise((resolve) => {
      this.#reach = resolve
    })
    const opened = new Promise<void>((resolve) => {
      this.open = resolve
    })
    this.pause = () => {
      this.#reach()
      return opened
    }
  }
}
