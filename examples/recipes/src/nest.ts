import 'reflect-metadata'
import { Body, Controller, Get, Module, Post, Req, Res, Session } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import { logIn, logOut, type SessionsOptions, sessions } from '@session-stores/fastify'
import type { FastifyReply, FastifyRequest, Session as UserSession } from 'fastify'

@Controller()
class AccountController {
  @Post('login')
  async logIn(@Req() request: FastifyRequest, @Body() { user }: { user: string }) {
    await logIn(request, { user }) // once the password was right
    return 'welcome'
  }

  @Get('me')
  me(@Session() session: UserSession) {
    return session.user ?? 'nobody'
  }

  // passthrough, so that Nest sends what is returned
  @Post('logout')
  async logOut(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    await logOut(request, reply)
    return 'bye'
  }
}

@Module({ controllers: [AccountController] })
class AppModule {}

export async function startNest(options: SessionsOptions): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(AppModule, new FastifyAdapter(), { logger: ['error'] })
  await app.register(sessions, options) // before listen(), which Nest registers its routes in
  app.enableShutdownHooks() // close() on SIGTERM ends what is under way, and closes the store
  await app.listen(Number(process.env.PORT ?? 0), '127.0.0.1')
  return app
}
