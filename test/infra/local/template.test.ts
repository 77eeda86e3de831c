import { describe, expect, it } from 'vitest';
import {
  creationOrder,
  pseudoParameters,
  resolveIntrinsics,
  type Scope,
} from '../../../infra/local/template.ts';
import { InvalidConfigurationError } from '../../../shared/errors.ts';

const parameters = pseudoParameters('Attune');
const scope: Scope = {
  ref: (id) => ({ ...parameters, Queue: 'https://queue' })[id],
  attribute: (id, name) => (id === 'Queue' && name === 'Arn' ? 'arn:queue' : undefined),
};
const resolve = (value: unknown) => resolveIntrinsics(value, scope, 'Thing');

describe('intrinsic functions', () => {
  it('are replaced by their values at any depth', () => {
    const value = {
      a: [{ Ref: 'Queue' }, 1],
      b: { c: { 'Fn::GetAtt': ['Queue', 'Arn'] } },
      d: { 'Fn::GetAtt': 'Queue.Arn' },
    };
    expect(resolve(value)).toEqual({ a: ['https://queue', 1], b: { c: 'arn:queue' }, d: 'arn:queue' });
  });

  it('include Fn::Join and Fn::Sub with pseudo parameters, literals and variables', () => {
    expect(resolve({ 'Fn::Join': ['-', ['a', { Ref: 'AWS::Region' }, { Ref: 'AWS::AccountId' }]] })).toBe(
      'a-us-east-1-000000000000',
    );
    expect(resolve({ 'Fn::Sub': `\${AWS::StackName}/\${Queue}/\${Queue.Arn}/\${!Literal}` })).toBe(
      `Attune/https://queue/arn:queue/\${Literal}`,
    );
    expect(resolve({ 'Fn::Sub': [`\${X}.\${AWS::URLSuffix}`, { X: { Ref: 'Queue' } }] })).toBe(
      'https://queue.amazonaws.com',
    );
  });

  it('remove properties and list entries with the value AWS::NoValue', () => {
    expect(resolve({ a: { Ref: 'AWS::NoValue' }, b: [1, { Ref: 'AWS::NoValue' }] })).toEqual({ b: [1] });
  });

  it.each([
    [
      { 'Fn::Select': [0, ['a']] },
      'Thing: found Fn::Select of [0,["a"]], expected Ref, Fn::GetAtt, Fn::Join or Fn::Sub',
    ],
    [{ Ref: 'Nobody' }, 'Thing: found Ref to Nobody, expected a resource or parameter'],
    [{ 'Fn::GetAtt': ['Queue', 'Color'] }, 'Thing: found Fn::GetAtt Queue.Color, expected an attribute'],
    [{ 'Fn::Sub': `\${Nobody.Arn}` }, 'Thing: found Fn::GetAtt Nobody.Arn, expected an attribute'],
    [{ 'Fn::Join': 'x' }, 'Thing: found Fn::Join of "x", expected [delimiter, [parts]]'],
  ])('cause an error that names the resource when they have no value: %j', (value, message) => {
    expect(() => resolve(value)).toThrow(InvalidConfigurationError);
    expect(() => resolve(value)).toThrow(message);
  });
});

describe('the order of creation', () => {
  const type = 'AWS::SQS::Queue';

  it('puts every resource after its references and dependencies', () => {
    const template = {
      Resources: {
        Sub: { Type: type, Properties: { x: { 'Fn::Sub': `a\${Att.Arn}` } } },
        Att: { Type: type, Properties: { x: [{ 'Fn::GetAtt': ['Ref', 'Arn'] }] } },
        Ref: { Type: type, Properties: { x: { y: { Ref: 'Dep' } }, z: { Ref: 'AWS::Region' } } },
        Dep: { Type: type, DependsOn: ['Last'] },
        Last: { Type: type },
      },
    };
    expect(creationOrder(template)).toEqual(['Last', 'Dep', 'Ref', 'Att', 'Sub']);
  });

  it('refuses a circular reference and shows it', () => {
    const template = {
      Resources: { A: { Type: type, Properties: { x: { Ref: 'B' } } }, B: { Type: type, DependsOn: 'A' } },
    };
    expect(() => creationOrder(template)).toThrow('A: found a circular reference (A → B → A), expected none');
  });
});
