import { describe, expect, test } from 'vitest';
import { settingsFromContext } from '../../../shared/config/settings.ts';
import { parsePattern } from '../../../shared/reasoning-bank/pattern-schema.ts';
import { checkedId, isId } from '../../../shared/validation/id.ts';

const INVALID = ['', 'a'.repeat(129), 'a\u0000', 'a\n', '\ud800', 7, null, undefined, ['a']];

describe('an id', () => {
  test.each(['a', 'ä', '😀'.repeat(128), 'a b', '\u200d'])('may be %j', (id) => {
    expect(isId(id)).toBe(true);
    expect(checkedId(id, 'userId')).toBe(id);
  });

  test.each(INVALID)('cannot be %j', (value) => {
    expect(isId(value)).toBe(false);
    expect(() => checkedId(value, 'items[2].itemId')).toThrow(
      /^items\[2\]\.itemId: found .*, expected 1 to 128 characters without control characters or lone surrogates$/s,
    );
  });

  test('with a lone surrogate is refused by settings and by the ReasoningBank, too', () => {
    const pattern = { sessionId: 's', task: 't', success: true, reward: 1, userId: '\ud800' };
    expect(() => parsePattern(pattern)).toThrow(/^userId: found .*lone surrogates$/);
    expect(() => settingsFromContext({ embeddingModel: '\ud800' })).toThrow(
      /^embeddingModel: found .*lone surrogates$/,
    );
  });
});
