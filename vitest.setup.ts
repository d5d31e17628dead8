// A rejection that nobody handles already fails the run. So shall what Node only warns about: a leaked listener, a
// deprecated call, a timer that overflows.
process.on('warning', (warning) => {
  throw warning
})
