/** Begins what is kept in every session, so that it can be looked for where it must not be. */
export const CANARY = 'canary-'
