/**
 * The environment of somebody who runs npm in a shell of their own: without what npm tells the scripts that it runs, and
 * without what a CI service tells its jobs.
 */
export function userEnvironment(): NodeJS.ProcessEnv {
  const kept = ['npm_config_cache', 'npm_config_registry', 'npm_config_userconfig', 'npm_config_globalconfig']
  const foreign =
    /^(npm_|pnpm_|INIT_CWD$|NODE_(ENV|OPTIONS|PATH|V8_COVERAGE|DEBUG|CHANNEL_\w+|UNIQUE_ID)$|VITEST|VITE_|TURBO|CI$|GIT_|GITHUB_|ACTIONS_|TEST$|DEV$|PROD$|MODE$|BASE_URL$|SSR$)/i
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => kept.includes(name.toLowerCase()) || !foreign.test(name)),
  )
}
