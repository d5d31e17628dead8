/** The URL of a module in `app/openers`. */
export function openerOf(store: 'redis' | 'postgres' | 'sqlite' | 'memcached'): string {
  return new URL(`app/openers/${store}.ts`, import.meta.url).href
}
