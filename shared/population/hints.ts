/**
 * Hyperparameters that a recommendation can name, with their names. The first name is used for
 * writing.
 */
const TERMS: Readonly<Record<string, { readonly written: string; readonly pattern: string }>> = {
  learningRate: { written: 'learning rate', pattern: String.raw`learning[ _-]?rate|\blr\b` },
  gradientClipThreshold: {
    written: 'clip threshold',
    pattern: '(?:gradient[ _-]?)?clip(?:ping)?[ _-]?(?:threshold|norm|value)|gradient[ _-]?clip(?:ping)?',
  },
  ewcLambda: {
    written: 'EWC lambda',
    pattern: String.raw`ewc[ _-]?(?:lambda|strength|weight|penalty)|\bewc\b`,
  },
  priorVariance: { written: 'prior variance', pattern: 'prior[ _-]?variance' },
};

const NUMBER = String.raw`[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?`;
/**
 * A number that is a value itself: not a percentage, a range, or part of a word or a longer number.
 */
const VALUE = String.raw`(${NUMBER})(?!\s?%|\w|\.\d|\s*(?:\.\.|–|-|to|or)\s*[\d.])`;
/** What may be between a name and its value. */
const LINK = String.raw`(?:[\s"'\`:=(~≈→]|->|=>|\b(?:should|be|is|was|of|to|at|by|around|about|approximately|value|set|now|a|the|default)\b){0,12}`;

const VALUE_AFTER = new RegExp(`^${LINK}(?:from\\s+${NUMBER}\\s+)?${LINK}${VALUE}`, 'i');
const VALUE_BEFORE = new RegExp(`${VALUE}\\s+(?:(?:as|for)\\s+)?(?:(?:the|a|its)\\s+)?$`, 'i');

const NEGATION =
  /\b(?:not|never|avoid|avoiding|without|no|nor|cannot|neither|refrain|instead of|rather than|stop)\b|n't\b/i;
/** After a value, these words describe its result, so the value is not a recommendation. */
const BLAME =
  /\b(?:not|never)\b(?!\s*[\d.])|\b(?:too (?:high|low|large|small|big)|fail(?:s|ed)|diverge[sd]|worse|unstable|hurts?|harmful|wrong)\b|n't\b/i;
const DOWN = /\b(?:reduc(?:e|es|ed|ing)|decreas\w+|lower(?:s|ed|ing)?|halv\w+|shrink\w*|smaller|cut)\b/i;
const UP = /\b(?:increas\w+|rais(?:e|es|ed|ing)|doubl\w+|higher|larger|boost\w*)\b/i;

/** End of a statement, but not within a number such as 0.5 or 1e-3. */
const STATEMENTS =
  /[;!?\n]+|\.(?=\s|$)|\b(?:but|however|although|though|unless|if|when|because|since|so(?! that)|instead)\s/i;
/** Separates parts of a statement. A negation also holds for the parts after it. */
const PARTS = /,(?=\s)|\s(?:and|then)\s/i;

const UNASKED_FACTOR = 2;

/**
 * Reads hints about hyperparameters from a recommendation in plain words: "learning rate to
 * 0.0005", "learning_rate=5e-4", "clip threshold: 1e-2", "reduce learning rate by 20%". A direction
 * without a number means half or double the configured value. A statement gives no hint when it is
 * negated or blames its value; of two about the same hyperparameter the first counts. Values are
 * not limited here, because learners do that by their declared bounds.
 * @param configured reference of relative words; without it they give no hint
 */
export function parseHints(
  recommendation: string,
  configured: Readonly<Record<string, number>> = {},
): Record<string, number> {
  const hints: Record<string, number> = {};
  for (const statement of recommendation.slice(0, MAX_LENGTH).split(STATEMENTS)) {
    const parts = statement.split(PARTS);
    parts.forEach((part, at) => {
      const before = parts.slice(0, at).join(' ');
      const after = parts.slice(at + 1).join(' ');
      for (const [name, { pattern }] of Object.entries(TERMS)) {
        if (Object.hasOwn(hints, name)) continue;
        const read = readValue(part, pattern, configured[name]);
        if (read === undefined || !Number.isFinite(read.value) || read.value < 0) continue;
        if (NEGATION.test(`${before} ${part.slice(0, read.end)}`)) continue;
        if (BLAME.test(`${part.slice(read.end)} ${after}`)) continue;
        hints[name] = read.value;
      }
    });
  }
  return hints;
}

/** Longer texts than this are not parsed, so that no text takes long. */
const MAX_LENGTH = 2048;

/** A sentence that {@link parseHints} reads back to the same number. */
export function writeHint(hyperparameter: string, value: number): string {
  const name = TERMS[hyperparameter]?.written ?? hyperparameter;
  return `Set ${name} to ${value}`;
}

/** The value that a part of a statement gives a hyperparameter, and its end in the part. */
function readValue(
  part: string,
  term: string,
  configured: number | undefined,
): { value: number; end: number } | undefined {
  const named = new RegExp(term, 'i').exec(part);
  if (named === null) return undefined;
  const nameEnd = named.index + named[0].length;
  const after = part.slice(nameEnd);
  const direction = directionOf(part);
  const factor = direction === undefined ? undefined : readFactor(after, direction);
  if (factor !== undefined) return scaled(configured, factor, part.length);
  const given = VALUE_AFTER.exec(after);
  if (given !== null) return { value: Number(given[1]), end: nameEnd + given[0].length };
  const ahead = VALUE_BEFORE.exec(part.slice(0, named.index))?.[1];
  if (ahead !== undefined) return { value: Number(ahead), end: nameEnd };
  // An unread number may be the value, so there is no hint then.
  if (direction === undefined || /\d/.test(after)) return undefined;
  return scaled(configured, direction === 'down' ? 1 / UNASKED_FACTOR : UNASKED_FACTOR, nameEnd);
}

function directionOf(clause: string): 'down' | 'up' | undefined {
  const down = DOWN.test(clause);
  return down === UP.test(clause) ? undefined : down ? 'down' : 'up';
}

/** "by 20%", "by a factor of 10", "by half", "10x". */
function readFactor(after: string, direction: 'down' | 'up'): number | undefined {
  const percent = new RegExp(`\\bby\\s+(${NUMBER})\\s?(?:%|percent)`, 'i').exec(after)?.[1];
  if (percent !== undefined) {
    const change = Number(percent) / 100;
    return direction === 'down' ? 1 - change : 1 + change;
  }
  const times =
    new RegExp(`\\bby\\s+a\\s+factor\\s+of\\s+(${NUMBER})`, 'i').exec(after)?.[1] ??
    new RegExp(`^\\s+(?:by\\s+)?(${NUMBER})\\s?(?:x|times|fold|-fold)\\b`, 'i').exec(after)?.[1];
  if (times !== undefined) return direction === 'down' ? 1 / Number(times) : Number(times);
  if (/\bby\s+(?:a\s+)?half\b/i.test(after)) return direction === 'down' ? 0.5 : 1.5;
  return undefined;
}

function scaled(configured: number | undefined, factor: number, end: number) {
  return configured === undefined || !(factor > 0) ? undefined : { value: configured * factor, end };
}
