/**
 * The trace id of an invocation (`_X_AMZN_TRACE_ID`), derived from its request id. The SDK sends
 * the trace id with every request, so that a proxy can find the invocation of a request.
 * @param requestId a UUID
 */
export function traceIdOf(requestId: string): string {
  const digits = requestId.replaceAll('-', '');
  return `Root=1-${digits.slice(0, 8)}-${digits.slice(8)};Parent=${digits.slice(16)};Sampled=0`;
}
