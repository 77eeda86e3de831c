import { expect, test } from 'vitest';
import { bodyOf, failure, isHttp } from '../../functions/personalize/http.ts';

test.each([null, {}, { method: null }, { method: 'GET' }])(
  'an Invoke whose requestContext.http is %j is answered with 400',
  (http) => {
    const payload = { requestContext: { http }, body: '{}' };
    expect(isHttp(payload)).toBe(true);
    let answer: unknown;
    try {
      bodyOf(payload as never);
    } catch (error) {
      answer = failure(error);
    }
    expect(answer).toMatchObject({ statusCode: 400 });
  },
);
