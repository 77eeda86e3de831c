import { describe, expect, it } from 'vitest';
import { bodyOf, isHttp } from '../../../functions/personalize/http.ts';

type HttpEvent = Parameters<typeof bodyOf>[0];
const event = (changes: object) =>
  ({ requestContext: { http: { method: 'POST' } }, body: '{}', ...changes }) as HttpEvent;

describe('an HTTP event of the Function URL', () => {
  it('is refused as an invalid request when its http part is null', () => {
    const payload = event({ requestContext: { http: null } });
    expect(isHttp(payload)).toBe(true);
    expect(() => bodyOf(payload)).toThrow('method: found nothing, expected POST');
  });

  it('is refused when its body is not UTF-8', () => {
    const body = Buffer.from('{"userId":"J\xe4n"}', 'latin1').toString('base64');
    expect(() => bodyOf(event({ body, isBase64Encoded: true }))).toThrow('found a body that is not UTF-8');
  });

  it('is read when its body is base64 of UTF-8', () => {
    const body = Buffer.from('{"userId":"Jän"}').toString('base64');
    expect(bodyOf(event({ body, isBase64Encoded: true }))).toEqual({ userId: 'Jän' });
  });
});
