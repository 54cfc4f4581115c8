import { unsupportedAdapter } from './bad-adapter.ts';
import { pythonExpression, type PythonExpression } from './python-expression/python-expression.ts';

/** The value of a module; the first matching key wins, in file order. */
export type ModulePattern = (module: string) => number | undefined;

/** Longest name that is matched. Names of large models have about 60 characters. */
export const MAX_MODULE_NAME = 256;

/**
 * PEFT's rule for `rank_pattern` and `alpha_pattern`: a key is a regular expression for the whole name or for
 * a suffix after a dot; `^` restricts it to the whole name.
 *
 * @throws QdyloraError UNSUPPORTED for an expression that `pythonExpression` does not read
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
    return compiled.find(({ expression }) => expression.fitsBeginning(module) !== null)?.value;
  };
}

/** `get_pattern_key` of PEFT 0.21. */
function compile(path: string, field: string, key: string): PythonExpression {
  const expression = pythonExpression(`(.*\\.)?(${key})$`);
  if (expression) return expression;
  throw unsupportedAdapter(
    path,
    `the expression ${JSON.stringify(key.slice(0, 200))} in ${field}`,
    'Write full module names instead.',
  );
}
