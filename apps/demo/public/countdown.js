// Counts down what the server wrote into the page. Without this script the page tells the same, standing still.
// It never asks the server: a request would begin the idle timeout anew.
const clocks = [...document.querySelectorAll('[data-seconds-left]')].map((element) => ({
  element,
  // by this machine's clock from now on, whatever the server's says
  end: Date.now() + Number(element.dataset.secondsLeft) * 1000,
}))

function show() {
  for (const { element, end } of clocks) {
    const left = Math.max(0, Math.ceil((end - Date.now()) / 1000))
    element.textContent = left > 0 ? text(left) : 'over'
    element.classList.toggle('soon', left <= 60)
  }
}

function text(seconds) {
  const parts = [
    [Math.floor(seconds / 3600), 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ]
  const first = parts.findIndex(([count]) => count > 0)
  return parts
    .slice(first)
    .map(([count, unit]) => `${count}\u00a0${unit}`)
    .join(' ')
}

if (clocks.length > 0) {
  show()
  setInterval(show, 1000)
}
