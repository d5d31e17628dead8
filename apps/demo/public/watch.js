// Shows what the server tells in server-sent events. Without this script the page tells the same, standing still.
const [chart, legend, pause, state] = ['chart', 'legend', 'pause', 'state'].map((id) => document.getElementById(id))
const [lines, counts] = ['lines', 'counts'].map((id) => document.querySelector(`#${id} tbody`))
const SVG = 'http://www.w3.org/2000/svg'
const SERIES = ['reads', 'writes', 'skips', 'errors']
const [WIDTH, HEIGHT] = [600, 90]
const MOST_LINES = 12
let paused = false

const events = new EventSource('/watch/events')
events.onopen = () => {
  state.textContent = ''
}
events.onmessage = ({ data }) => {
  if (!paused) show(JSON.parse(data))
}
events.onerror = () => {
  // The browser asks again by itself, unless the answer was no
  state.textContent =
    events.readyState === EventSource.CLOSED ? 'Not live any more: reload this page, or log in again.' : 'Connecting…'
}

for (const element of [chart, legend, pause]) element.hidden = false
pause.onclick = () => {
  paused = !paused
  pause.textContent = paused ? 'Go on' : 'Pause'
}

function show({ lines: fresh, counts: all, minute }) {
  for (const { at, words, name, duration } of fresh) {
    const what = row('td', words, ' ')
    what.append(row('code', name))
    const cells = [row('td', new Date(at).toISOString().slice(11, 23)), what, row('td', duration?.toFixed(1) ?? '')]
    cells[2].className = 'number'
    const line = document.createElement('tr')
    line.append(...cells)
    lines.prepend(line)
  }
  while (lines.children.length > MOST_LINES) lines.lastElementChild.remove()

  counts.replaceChildren(
    ...Object.entries(all).map(([name, count]) => {
      const header = document.createElement('th')
      header.scope = 'row'
      header.append(row('code', name))
      const number = row('td', count)
      number.className = 'number'
      const line = document.createElement('tr')
      line.append(header, number)
      return line
    }),
  )
  draw(minute)
}

function row(tag, ...text) {
  const element = document.createElement(tag)
  element.append(...text.map(String))
  return element
}

/** A bar for each second, of what happened in it. */
function draw(minute) {
  const totals = minute.map((second) => second.reduce((sum, count) => sum + count))
  const most = Math.max(...totals)
  const step = WIDTH / minute.length
  const svg = svgElement('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img' })
  svg.setAttribute('aria-label', `Operations in each of the last ${minute.length} seconds: ${most} at most`)
  for (const [i, second] of minute.entries()) {
    let y = HEIGHT
    for (const [n, name] of SERIES.entries()) {
      const height = (second[n] / Math.max(most, 5)) * (HEIGHT - 4)
      if (height === 0) continue
      y -= height
      svg.append(svgElement('rect', { class: name, x: i * step + 1, y, width: step - 2, height }))
    }
  }
  chart.replaceChildren(svg)
}

function svgElement(tag, attributes) {
  const element = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  return element
}
