/** The name of the instrumentation scope. */
export const SCOPE = '@session-stores/otel'
