/** Describes a JSON value, for a message. */
export const kindOf = (value: unknown): string =>
  value === null
    ? 'null'
    : value === undefined
      ? 'nothing'
      : Array.isArray(value)
        ? 'a list'
        : typeof value === 'object'
          ? 'an object'
          : `${typeof value} ${typeof value === 'number' ? value : JSON.stringify(value).slice(0, 80)}`;
