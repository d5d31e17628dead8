import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify'

interface Explanation {
  title: string
  text: string
}

const explanations: Record<number, Explanation> = {
  400: { title: 'That cannot be read', text: 'The browser sent something this page does not understand.' },
  403: {
    title: 'This form is out of date',
    text: 'It was made for a session that is over, or for another one. Go back, reload the page and try again.',
  },
  404: { title: 'No such page', text: 'There is nothing at this address.' },
  413: { title: 'Too much', text: 'The form holds more than this page takes.' },
  415: { title: 'That cannot be read', text: 'This page takes forms only.' },
  429: { title: 'Too many tries', text: 'Wait a minute, then try again.' },
  500: { title: 'Something went wrong', text: 'It is our fault and has been logged.' },
  503: {
    title: 'Back in a moment',
    text: 'Sessions cannot be reached right now. Nobody was logged out: try again shortly.',
  },
}

/** Shows every error as a page. What went wrong inside is for the log, never for the visitor. */
export function showErrors(app: FastifyInstance): void {
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const status = error.statusCode && error.statusCode >= 400 ? error.statusCode : 500
    if (status >= 500) request.log.error({ err: error }, 'request failed')
    return showError(reply, status)
  })

  app.setNotFoundHandler((_request, reply) => showError(reply, 404))
}

function showError(reply: FastifyReply, status: number): FastifyReply {
  const explanation = explanations[status] ?? explanations[status < 500 ? 400 : 500]
  return reply
    .code(status)
    .header('cache-control', 'no-store')
    .view('error', { status, ...explanation })
}
