// A rejection that nobody handles already fails the run. So shall what Node only warns about: a leaked listener, a
// deprecated call, a timer that overflows.
process.on('warning', (warning) => {
  if (warning.name === 'ExperimentalWarning' && warning.message.startsWith('SQLite')) return // node:sqlite, on Node 22
  throw warning
})
