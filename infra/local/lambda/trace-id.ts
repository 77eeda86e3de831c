/**
 * The trace id that Lambda sets for an invocation (`_X_AMZN_TRACE_ID`), made from its request id. The SDK sends it along with every
 * request, so that whoever sees a request knows the invocation that it belongs to.
 * @param requestId a UUID
 */
export function traceIdOf(requestId: string): string {
  const digits = requestId.replaceAll('-', '');
  return `Root=1-${digits.slice(0, 8)}-${digits.slice(8)};Parent=${digits.slice(16)};Sampled=0`;
}

/** The request id that a trace id was made from; undefined for any other. */
export function requestIdOf(traceId: string): string | undefined {
  const [, first, rest] = /^Root=1-([0-9a-f]{8})-([0-9a-f]{24});/.exec(traceId) ?? [];
  if (first === undefined || rest === undefined) return undefined;
  return [first, rest.slice(0, 4), rest.slice(4, 8), rest.slice(8, 12), rest.slice(12)].join('-');
}
