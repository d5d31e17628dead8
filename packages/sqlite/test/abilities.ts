/** What a SqliteStore can do of all that is optional. */
export const abilities = [
  ...(['ping', 'insert', 'prune', 'count', 'scan', 'clear'] as const),
  ...(['findByUser', 'removeOfUser', 'check'] as const),
]
