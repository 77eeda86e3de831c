/**
 * The trace id of an invocation (`_X_AMZN_TRACE_ID`), derived from its request id. The SDK sends
 * the trace id with every request, so that a proxy can find the invocation of a request.
 * @param requestId a UUID
 */
export function traceIdOf(requestId: string): string {
  const digits = requestId.replaceAll('-', '');
  return `Root=1-${digits.slice(0, 8)}-${digits.slice(8)};Parent=${digits.slice(16)};Sampled=0`;
}

/** The request id in a trace id of {@link traceIdOf}; undefined for other trace ids. */
export function requestIdOf(traceId: string): string | undefined {
  const [, first, rest] = /^Root=1-([0-9a-f]{8})-([0-9a-f]{24});/.exec(traceId) ?? [];
  if (first === undefined || rest === undefined) return undefined;
  return [first, rest.slice(0, 4), rest.slice(4, 8), rest.slice(8, 12), rest.slice(12)].join('-');
}
