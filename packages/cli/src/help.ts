/** Fits a screen of 24 lines and 80 columns. */
export const help = `\
Usage: session-stores COMMAND STORE [OPTIONS]

Commands
  count                   how many sessions there are
  list [--user U]         the sessions, or those of one user
  show HANDLE [--data]    one session; with --data, what it holds
  end HANDLE              end that session
  end --user U | --all    end those of one user, or all of them
  prune                   delete what has expired
  migrate [--print]       make or upgrade the table; print the SQL (Postgres)
  check                   what should be put right on the server
  key                     make an encryption key (needs no store)
Stores
  --redis URL | --postgres URL | --sqlite FILE | --memcached HOST:PORT,…
Options
  --prefix P  of the keys (Redis, Memcached)   --json  one JSON value a line
  --table T   --schema S  (Postgres)           --yes   do not ask
  --cluster   the URL is of a Redis Cluster    --help  --version

Drivers and stores are those of the folder it runs in. Store, prefix, table and
schema can be variables: SESSION_STORES_REDIS, … So are the keys of sealed data:
SESSION_STORES_KEYS. Exit codes: 0 done, 1 no, 2 wrong use, 3 the server failed.
`
