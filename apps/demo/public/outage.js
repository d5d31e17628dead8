// Keeps the time line up to date while it grows. Without this script a reload does the same.
const timeLine = document.getElementById('time-line')

async function update() {
  const answer = await fetch('/outage/time-line')
  if (answer.ok) timeLine.innerHTML = await answer.text() // written by the server, and nothing in it by visitors
  return timeLine.querySelector('[data-running="true"]') !== null
}

async function follow() {
  while (await update()) await new Promise((resolve) => setTimeout(resolve, 400))
}

if (timeLine?.querySelector('[data-running="true"]')) void follow()
