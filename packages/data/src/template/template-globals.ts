import { TemplateLimit } from '../jinja/budget.ts';
import { pythonText } from '../jinja/python/python-text.ts';
import { integerOf, type CallArguments, type Value } from '../jinja/python/values.ts';
import { strftime } from './strftime.ts';
import { TemplateRefusal } from './template-error.ts';

/** `range(10 ** 9)` in a template would fill memory; no conversation has so many turns. */
const MAX_RANGE = 100_000;

/** The names that transformers gives every chat template; `date` is what `strftime_now` formats. */
export const templateGlobals = (date: Date): Readonly<Record<string, Value>> => ({
  raise_exception({ positional: [message] }) {
    throw new TemplateRefusal(pythonText(message, () => {}));
  },
  strftime_now: ({ positional: [format] }) =>
    strftime(
      date,
      pythonText(format, () => {}),
    ),
  range,
  documents: null, // of retrieval; there are none here
});

/** Python's `range`, as a list. */
function range({ positional, named }: CallArguments): readonly number[] {
  if (positional.length < 1 || positional.length > 3 || named.size > 0)
    throw new Error('range() takes 1 to 3 whole numbers');
  const bounds = positional.map((value) => integerOf(value, 'range()'));
  const [start, stop, step = 1] = bounds.length === 1 ? [0, ...bounds] : bounds;
  if (step === 0) throw new Error('the step of range() cannot be zero');
  const length = Math.max(0, Math.ceil((stop! - start!) / step));
  if (!(length <= MAX_RANGE)) throw new TemplateLimit(`a range of ${length} numbers`);
  return Array.from({ length }, (_, i) => start! + i * step);
}
