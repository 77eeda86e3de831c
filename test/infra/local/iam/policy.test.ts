import { expect, test } from 'vitest';
import { decide, parsePolicy } from '../../../../infra/local/iam/policy.ts';

const parsed = (...Statement: object[]) => parsePolicy({ Version: '2012-10-17', Statement }, 'Policy');
const call = { principal: 'role', action: 's3:GetObject', resource: 'arn:aws:s3:::bucket/adapters/a.b' };
const allow = { Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::bucket/adapters/*' };

test('a policy allows exactly what its statements name', () => {
  expect(decide(parsed(allow), call)).toBe('allowed');
  expect(decide(parsed(allow), { ...call, resource: 'arn:aws:s3:::bucket/basis/a' })).toBe('not-allowed');
  expect(decide(parsed(allow), { ...call, action: 's3:GetObjectVersion' })).toBe('not-allowed');
  expect(decide(parsed({ ...allow, Action: 'S3:get*' }), call)).toBe('allowed');
  expect(decide(parsed({ ...allow, Resource: 'arn:aws:s3:::bucket/adapters/a?b' }), call)).toBe('allowed');
  expect(decide(parsed({ ...allow, Resource: 'arn:aws:s3:::bucket/adapters/a' }), call)).toBe('not-allowed');
});

test('a denial wins over an allowing statement', () => {
  expect(decide(parsed(allow, { ...allow, Effect: 'Deny', Action: '*' }), call)).toBe('denied');
});

test.each([
  [{ Null: { key: 'true' } }, {}, true],
  [{ Null: { key: true } }, { key: 'x' }, false],
  [{ Null: { key: 'false' } }, { key: 'x' }, true],
  [{ Bool: { key: false } }, { key: 'false' }, true],
  [{ Bool: { key: 'false' } }, {}, false],
  [{ StringEquals: { key: ['a', 'b'] } }, { key: 'b' }, true],
  [{ StringEquals: { key: 'a*' } }, { key: 'ab' }, false],
  [{ StringLike: { key: 'a*' } }, { key: 'ab' }, true],
  [{ ArnLike: { key: 'arn:aws:s3:::*' } }, { key: 'arn:aws:s3:::b' }, true],
  [{ NumericLessThan: { key: 1.2 } }, { key: '1.1' }, true],
  [{ NumericLessThan: { key: 1.2 } }, { key: '1.3' }, false],
  [{ StringEquals: { a: '1', b: '1' } }, { a: '1', b: '2' }, false],
  [{ StringEquals: { a: '1' }, Bool: { b: 'true' } }, { a: '1', b: 'true' }, true],
])('the condition %j of a request with %j: %s', (Condition, context, applies) => {
  const decision = decide(parsed({ ...allow, Condition }), {
    ...call,
    context: context as Record<string, string>,
  });
  expect(decision).toBe(applies ? 'allowed' : 'not-allowed');
});

test('a statement with a principal is for that principal', () => {
  const lambda = { ...allow, Principal: { Service: 'lambda.amazonaws.com' } };
  expect(decide(parsed(lambda), call)).toBe('not-allowed');
  expect(decide(parsed(lambda), { ...call, principal: 'lambda.amazonaws.com' })).toBe('allowed');
  expect(decide(parsed({ ...allow, Principal: { AWS: '*' } }), call)).toBe('allowed');
});

test.each([
  { ...allow, NotAction: 's3:*' },
  { ...allow, Condition: { DateLessThan: { key: '2026' } } },
  { ...allow, Principal: { AWS: 'arn:aws:iam::1:root' } },
])('a policy element that the local stack cannot evaluate is refused: %j', (statement) => {
  expect(() => parsed(statement)).toThrow('Policy: found a policy that the local stack cannot evaluate');
});
