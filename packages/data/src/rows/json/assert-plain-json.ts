import { badData } from '../../bad-data.ts';

/** The deepest nesting accepted. Chat rows with tool schemas have fewer than 20 levels. */
const MAX_DEPTH = 64;

/**
 * Refuses JSON that `JSON.parse` accepts but later code cannot handle: a `__proto__` key at any depth, and
 * nesting that would overflow a recursive reader.
 *
 * @throws QdyloraError BAD_DATA
 */
export function assertPlainJson(root: unknown, where: string): void {
  const stack: { value: unknown; depth: number }[] = [{ value: root, depth: 0 }];
  for (let top = stack.pop(); top; top = stack.pop()) {
    const { value, depth } = top;
    if (typeof value !== 'object' || value === null) continue;
    if (depth > MAX_DEPTH)
      throw badData(where, `The row has more than ${MAX_DEPTH} levels of nesting`, 'Delete this line.');
    if (!Array.isArray(value) && Object.hasOwn(value, '__proto__'))
      throw badData(
        where,
        'The row has the key __proto__, which is not allowed',
        'Delete this line: it tries to change how programs read the row.',
      );
    for (const child of Object.values(value))
      if (typeof child === 'object') stack.push({ value: child, depth: depth + 1 });
  }
}
