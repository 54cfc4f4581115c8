import { QdyloraError } from './errors.ts';
import { nearestName } from './nearest-name.ts';
import { shownValue } from './shown-value.ts';

/**
 * The values that one option of a function may have. `undefined` is allowed unless the option is required.
 */
export interface OptionRule {
  /** Completes the sentence "The option must be …": `a whole number ≥ 1`. */
  readonly expected: string;
  readonly isRequired: boolean;
  holds(value: unknown): boolean;
}

/** A rule for every option of `T`. The compiler refuses a table that lacks one. */
export type OptionRules<T> = { readonly [K in keyof T]-?: OptionRule };

/** A rule of any kind. `expected` completes the sentence "The option must be …". */
export const optionRule = (expected: string, holds: (value: unknown) => boolean): OptionRule => ({
  expected,
  isRequired: false,
  holds,
});

/**
 * Bounds of a number. It may equal `least` and `most`, but neither `above` nor `below`; a missing bound
 * allows every number.
 */
export interface NumberRange {
  readonly least?: number;
  readonly above?: number;
  readonly below?: number;
  readonly most?: number;
}

const fits = (
  value: number,
  { least = -Infinity, above = -Infinity, below = Infinity, most = Infinity }: NumberRange,
): boolean => value >= least && value > above && value < below && value <= most;

/** A finite number, as `numberWithin({ above: 0 })`. */
export function numberWithin(range: NumberRange = {}): OptionRule {
  const bounds = [
    range.least !== undefined && `≥ ${range.least}`,
    range.above !== undefined && `> ${range.above}`,
    range.below !== undefined && `< ${range.below}`,
    range.most !== undefined && `≤ ${range.most}`,
  ]
    .filter(Boolean)
    .join(' and ');
  return optionRule(
    `a number${bounds && ` ${bounds}`}`,
    (value) => typeof value === 'number' && Number.isFinite(value) && fits(value, range),
  );
}

/** A whole number that is exact: up to 2⁵³ − 1. */
export const wholeNumber = (least = 0): OptionRule =>
  optionRule(
    `a whole number ≥ ${least}`,
    (value) => Number.isSafeInteger(value) && (value as number) >= least,
  );

/** A boolean; no other value counts as true or false. */
export const trueOrFalse = optionRule('true or false', (value) => typeof value === 'boolean');
/** A string, which may be empty. */
export const someText = optionRule('a string', (value) => typeof value === 'string');
/** A function of any signature. */
export const someFunction = optionRule('a function', (value) => typeof value === 'function');
/** Any value: the function that uses it checks it. */
export const anyValue = optionRule('a value', () => true);
/** One of these values, compared by identity. */
export const oneOf = (names: readonly unknown[]): OptionRule =>
  optionRule(`one of ${names.join(', ')}`, (value) => names.includes(value));

/** An object with these methods, as `objectWith('batchAt', 'epochAt')`. */
export const objectWith = (...methods: string[]): OptionRule =>
  optionRule(
    `an object${methods.length > 0 ? ` with ${methods.join(', ')}` : ''}`,
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      methods.every((name) => typeof (value as Record<string, unknown>)[name] === 'function'),
  );

/** The `signal` of an AbortController. The controller itself is refused. */
export const abortSignal = optionRule(
  'an AbortSignal, such as `controller.signal`',
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { aborted?: unknown }).aborted === 'boolean' &&
    typeof (value as { addEventListener?: unknown }).addEventListener === 'function',
);

/** A value that `rule` allows, or null. Required if `rule` is. */
export const orNull = (rule: OptionRule): OptionRule => ({
  ...rule,
  expected: `${rule.expected}, or null`,
  holds: (value) => value === null || rule.holds(value),
});
/**
 * A value that at least one of the two rules allows. The result is optional, even if both rules are required.
 */
export const either = (one: OptionRule, other: OptionRule): OptionRule =>
  optionRule(`${one.expected}, or ${other.expected}`, (value) => one.holds(value) || other.holds(value));
/** The same rule for an option that may not be left out. */
export const required = (rule: OptionRule): OptionRule => ({ ...rule, isRequired: true });

/**
 * Refuses unknown options of a function, missing required ones, and values of the wrong kind. Plain
 * JavaScript would ignore all three silently.
 *
 * @throws QdyloraError BAD_ARGUMENT that names the option and its value; for an unknown option, the nearest
 * known one
 * @example
 * const rate = numberWithin({ least: 0 });
 * checkOptions('adamw', options, { learningRate: required(rate), weightDecay: rate });
 */
export function checkOptions(
  where: string,
  options: unknown,
  rules: Readonly<Record<string, OptionRule>>,
): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw refusal(
      where,
      `the options must be an object (got ${shownValue(options)})`,
      `The options are: ${Object.keys(rules).join(', ')}.`,
    );
  const values = options as Readonly<Record<string, unknown>>;
  for (const name in values)
    if (!Object.hasOwn(rules, name) && values[name] !== undefined)
      throw unknownOption(where, name, Object.keys(rules));
  for (const [name, { expected, isRequired, holds }] of Object.entries(rules)) {
    const value = values[name];
    if (value === undefined && isRequired)
      throw refusal(where, `\`${name}\` is missing: it must be ${expected}`);
    if (value !== undefined && !holds(value))
      throw refusal(
        where,
        `\`${name}\` must be ${expected} (got ${shownValue(value)})`,
        isRequired ? undefined : 'Correct it, or leave it out to get the default.',
      );
  }
}

function unknownOption(where: string, name: string, names: readonly string[]): QdyloraError {
  const camelCased = name.replace(/[_-]+([a-z0-9])/gi, (_, letter: string) => letter.toUpperCase());
  const near = nearestName(camelCased, names);
  return refusal(
    where,
    `there is no option \`${name}\``,
    near ? `Did you mean \`${near}\`?` : `The options are: ${names.join(', ')}.`,
  );
}

const refusal = (where: string, problem: string, nextStep?: string): QdyloraError =>
  new QdyloraError('BAD_ARGUMENT', { where, problem, nextStep });
