import { QdyloraError } from './errors.ts';
import { nearestName } from './nearest-name.ts';
import { shownValue } from './shown-value.ts';

/** What may stand for one option of a function. `undefined` always may, unless it is required. */
export interface OptionRule {
  readonly expected: string;
  readonly isRequired: boolean;
  holds(value: unknown): boolean;
}

/** A rule for every option of `T`: the compiler sees to it that none is forgotten. */
export type OptionRules<T> = { readonly [K in keyof T]-?: OptionRule };

/** A rule in words of one's own. */
export const optionRule = (expected: string, holds: (value: unknown) => boolean): OptionRule => ({
  expected,
  isRequired: false,
  holds,
});

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

export const trueOrFalse = optionRule('true or false', (value) => typeof value === 'boolean');
export const someText = optionRule('a text', (value) => typeof value === 'string');
export const someFunction = optionRule('a function', (value) => typeof value === 'function');
/** Checked by whoever uses it. */
export const anyValue = optionRule('a value', () => true);
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

/** The `signal` of an AbortController, not the controller. */
export const abortSignal = optionRule(
  'an AbortSignal (of a controller its signal)',
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { aborted?: unknown }).aborted === 'boolean' &&
    typeof (value as { addEventListener?: unknown }).addEventListener === 'function',
);

export const orNull = (own: OptionRule): OptionRule => ({
  ...own,
  expected: `${own.expected}, or null`,
  holds: (value) => value === null || own.holds(value),
});
export const either = (one: OptionRule, other: OptionRule): OptionRule =>
  optionRule(`${one.expected}, or ${other.expected}`, (value) => one.holds(value) || other.holds(value));
export const required = (own: OptionRule): OptionRule => ({ ...own, isRequired: true });

/**
 * Refuses options of a function that are none of its own, that it cannot do without, or that are of another
 * kind: what plain JavaScript would pass over in silence.
 *
 * @throws QdyloraError BAD_ARGUMENT that names the option and what came; for an unknown one, the nearest that
 * there is
 * @example
 * const rate = numberWithin({ least: 0 });
 * checkOptions('adamw', options, { learningRate: required(rate), weightDecay: rate });
 */
export function checkOptions(
  where: string,
  given: unknown,
  rules: Readonly<Record<string, OptionRule>>,
): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw refusal(
      where,
      `expected an object of options, got ${shownValue(given)}`,
      `They are: ${Object.keys(rules).join(', ')}.`,
    );
  const options = given as Readonly<Record<string, unknown>>;
  for (const name in options)
    if (!Object.hasOwn(rules, name) && options[name] !== undefined)
      throw unknownOption(where, name, Object.keys(rules));
  for (const [name, { expected, isRequired, holds }] of Object.entries(rules)) {
    const value = options[name];
    if (value === undefined ? isRequired : !holds(value))
      throw refusal(
        where,
        `expected ${expected} for ${name}, got ${shownValue(value)}`,
        isRequired ? undefined : 'Correct it, or leave it out to get the default.',
      );
  }
}

function unknownOption(where: string, name: string, known: readonly string[]): QdyloraError {
  const camelCased = name.replace(/[_-]+([a-z0-9])/gi, (_, letter: string) => letter.toUpperCase());
  const near = nearestName(camelCased, known);
  return refusal(
    where,
    `expected a known option, got ${name}`,
    near ? `Did you mean ${near}?` : `The options are: ${known.join(', ')}.`,
  );
}

const refusal = (where: string, problem: string, nextStep?: string): QdyloraError =>
  new QdyloraError('BAD_ARGUMENT', { where, problem, nextStep });
