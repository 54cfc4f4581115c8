import { unsupportedAdapter } from './bad-adapter.ts';

/** The value of a module; the first matching key wins, in file order. */
export type ModulePattern = (module: string) => number | undefined;

/**
 * Longest matched name. Matching backtracks; with two unbounded repeats and PEFT's prefix it costs at most
 * the cube of this length.
 */
const MAX_MODULE_NAME = 256;

/**
 * PEFT's rule for `rank_pattern` and `alpha_pattern`: a key is a regular expression for the whole name or for
 * a suffix after a dot; `^` restricts it to the whole name.
 *
 * @throws QdyloraError UNSUPPORTED for an expression that could take exponential time, or that JavaScript
 * cannot parse.
 */
export function modulePattern(
  path: string,
  field: string,
  values: ReadonlyMap<string, number>,
): ModulePattern {
  const compiled = [...values].map(([key, value]) => ({ expression: compile(path, field, key), value }));
  return (module) => {
    if (compiled.length === 0) return undefined;
    if (module.length > MAX_MODULE_NAME)
      throw unsupportedAdapter(path, `${field} and a module name of ${module.length} characters`);
    return compiled.find(({ expression }) => expression.test(module))?.value;
  };
}

function compile(path: string, field: string, key: string): RegExp {
  const refuse = () =>
    unsupportedAdapter(
      path,
      `the expression ${JSON.stringify(key.slice(0, 200))} in ${field}`,
      'Write full module names instead.',
    );
  const unescaped = key.replace(/\\./g, '_');
  const repeatsGroup = /\)\s*[*+{]/.test(unescaped);
  const unbounded = unescaped.match(/[*+]|\{\d*,\d*\}/g)?.length ?? 0;
  if (repeatsGroup || unbounded > 2 || key.length > MAX_MODULE_NAME) throw refuse();
  try {
    return new RegExp(`^(?:.*\\.)?(?:${key})$`);
  } catch {
    throw refuse();
  }
}
