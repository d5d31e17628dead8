// Loaded with OTEL=1: prints a trace for each request to standard output, the spans of its session store within. An application
// of yours sends them to a collector instead: see packages/otel.
import { FastifyOtelInstrumentation } from '@fastify/otel'
import { ConsoleSpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import { instrument } from '@session-stores/otel'

/** To be called before the application is built. */
export function printTraces(): void {
  new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(new ConsoleSpanExporter())] }).register()
  new FastifyOtelInstrumentation({ registerOnInitialization: true })
  instrument()
}
