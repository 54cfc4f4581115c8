import { Environment } from '@huggingface/jinja';
import { ExactNumber } from './exact-number.ts';
import type { RuntimeValue } from './python-text.ts';

/** As the library converts it. */
const converted = (value: unknown): RuntimeValue =>
  new Environment().set('value', value) as unknown as RuntimeValue;

type Made = new (value: unknown) => RuntimeValue;

const classOf = (example: unknown): Made => converted(example).constructor as Made;
const ListValue = classOf([]);
const RecordValue = classOf({});
const FloatValue = classOf(0.5);

/** A value as templates see it: with records in the order of their keys, and numbers as they were written. */
export function runtimeValue(value: unknown): RuntimeValue {
  if (value instanceof ExactNumber)
    return value.isFloat
      ? new FloatValue(value.toJSON())
      : Object.assign(converted(value.toJSON()), { digits: value.digits });
  if (Array.isArray(value)) return new ListValue(value.map(runtimeValue));
  if (typeof value !== 'object' || value === null) return converted(value);
  const entries = value instanceof Map ? [...(value as Map<string, unknown>)] : Object.entries(value);
  return new RecordValue(new Map(entries.map(([key, inner]) => [key, runtimeValue(inner)])));
}

/** A float, also a whole one. */
export const floatValue = (value: number): RuntimeValue => new FloatValue(value);
