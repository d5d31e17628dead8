// Compiled by the type check, never run: a store fits `@fastify/session`, and a client fits the store.
import fastifySession, { type SessionStore as PluginStore } from '@fastify/session'
import Fastify, { type Session } from 'fastify'
import memjs, { Client } from 'memjs'
import { MemcachedStore } from '../src/index.ts'

const client = Client.create('127.0.0.1:11211')
const untyped: PluginStore = new MemcachedStore({ client })
const typed: PluginStore = new MemcachedStore<Session>({ client: memjs.Client.create(), prefix: 'app:', ttl: 1000 })
for (const store of [untyped, typed]) Fastify().register(fastifySession, { secret: 'x'.repeat(32), store })

new MemcachedStore({ client, prefix: undefined, ttl: undefined })

// @ts-expect-error there must be a client
new MemcachedStore({})
// @ts-expect-error and it must be one
new MemcachedStore({ client: '127.0.0.1:11211' })
// @ts-expect-error a wrong option is a compile-time error too
new MemcachedStore({ client, expires: 5 })
