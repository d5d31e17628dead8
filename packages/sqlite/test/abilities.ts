/** What a SqliteStore can do of all that is optional. */
export const abilities = ['ping', 'insert', 'prune', 'count', 'scan', 'clear', 'findByUser', 'removeOfUser'] as const
