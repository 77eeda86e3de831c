import { expect, test } from 'vitest';
import { userKey } from '../../../shared/config/user-key.ts';

test('a user is named by the SHA-256 of the UTF-8 bytes of the id', () => {
  // printf 'Zoë' | sha256sum
  expect(userKey('Zoë')).toBe('c6a12698582fc1104ea24107a2d7268145ff06ef859707729d01fd060897f067');
});
