import { expect, test } from 'vitest';
import { list, policyStatements, synthesizedTemplate } from './template.ts';

const template = synthesizedTemplate();

test('no statement has a wildcard action, and only tracing has a wildcard resource', () => {
  const statements = policyStatements(template);
  expect(statements.length).toBeGreaterThan(10);
  for (const { Action, Resource } of statements) {
    for (const action of list(Action)) {
      expect(action).not.toContain('*');
      if (list(Resource).includes('*')) expect(action).toMatch(/^xray:Put(TraceSegments|TelemetryRecords)$/);
    }
  }
});

test('no role has managed or inline policies, and each role trusts one service', () => {
  const roles = Object.values(template.findResources('AWS::IAM::Role'));
  expect(roles).toHaveLength(4);
  for (const { Properties } of roles) {
    expect(Properties).not.toHaveProperty('ManagedPolicyArns');
    expect(Properties).not.toHaveProperty('Policies');
    const [trust, ...others] = Properties.AssumeRolePolicyDocument.Statement;
    expect(others).toEqual([]);
    expect(trust.Principal.Service).toMatch(/^(lambda|scheduler)\.amazonaws\.com$/);
  }
  template.resourceCountIs('AWS::IAM::ManagedPolicy', 0);
});

test('s3:ListBucket has no condition on the prefix, so that S3 answers 404 and not 403 for a missing adapter', () => {
  const listing = policyStatements(template).filter(({ Action }) => list(Action).includes('s3:ListBucket'));
  expect(listing).toHaveLength(3);
  for (const statement of listing) expect(statement).not.toHaveProperty('Condition');
});
