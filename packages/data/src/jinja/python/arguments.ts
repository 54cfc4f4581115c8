import type { CallArguments, Value } from './values.ts';

/** A call without arguments. */
export const NO_ARGUMENTS: CallArguments = { positional: [], named: new Map() };

/**
 * The values of a callable's parameters in their order, given by position or by name; undefined if not given.
 *
 * @param callable name for errors: `the filter join`
 * @throws Error for an argument that is not in `parameters`, and for too many of them
 */
export function bindArguments(
  { positional, named }: CallArguments,
  parameters: readonly string[],
  callable: string,
): readonly Value[] {
  for (const name of named.keys())
    if (!parameters.includes(name)) throw new Error(`Unknown argument of ${callable}: ${name}`);
  const most = parameters.length;
  if (positional.length > most)
    throw new Error(
      `${callable} takes at most ${most} ${most === 1 ? 'argument' : 'arguments'}, not ${positional.length}`,
    );
  return parameters.map((name, i) => (i < positional.length ? positional[i] : named.get(name)));
}
