/** The request id in a trace id of the local Lambda; undefined for other trace ids. */
export function requestIdOf(traceId: string): string | undefined {
  const [, first, rest] = /^Root=1-([0-9a-f]{8})-([0-9a-f]{24});/.exec(traceId) ?? [];
  if (first === undefined || rest === undefined) return undefined;
  return [first, rest.slice(0, 4), rest.slice(4, 8), rest.slice(8, 12), rest.slice(12)].join('-');
}
