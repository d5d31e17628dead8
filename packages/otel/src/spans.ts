import { context, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import type { OperationContext } from '@session-stores/core'
import { batchAttributes, operationAttributes, outcomeAttributes } from './attributes.ts'
import { SCOPE } from './scope.ts'

/** A span for each operation, as a child of the span that is active where the store is called. */
export class Spans {
  readonly #tracer = trace.getTracer(SCOPE)
  readonly #spans = new WeakMap<object, Span>()

  onStart(message: unknown): void {
    const operation = message as OperationContext
    const parent = context.active()
    // Health checks ask several times a second: each would be a trace of its own.
    if (operation.operation === 'ping' && trace.getSpan(parent) === undefined) return
    // The conventions want the collection named, such as the table; what is published here does not know it.
    const name = `${operation.operation} sessions`
    const kind = operation.store === 'memory' ? SpanKind.INTERNAL : SpanKind.CLIENT
    const attributes = operationAttributes(operation)
    this.#spans.set(operation, this.#tracer.startSpan(name, { kind, attributes }, parent))
  }

  onEnd(message: unknown): void {
    const operation = message as OperationContext
    const span = this.#spans.get(operation)
    if (span === undefined) return
    span.setAttributes({ ...outcomeAttributes(operation), ...batchAttributes(operation) })
    // Without a description, and without the exception: their texts may quote session data.
    if (operation.outcome === 'error') span.setStatus({ code: SpanStatusCode.ERROR })
    span.end()
  }
}
