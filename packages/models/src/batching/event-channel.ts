/** A list of values that one reader takes in order, while another side still adds to it. */
export interface EventChannel<T> extends AsyncIterable<T> {
  push(value: T): void;
  /** No more values come. With a reason the reader gets it as an error, after the values. */
  close(error?: unknown): void;
}

/**
 * @param onLeave called where the reader leaves before the end
 */
export function createEventChannel<T>(onLeave: () => void): EventChannel<T> {
  const values: T[] = [];
  let ending: { readonly error: unknown } | null = null;
  let wake: (() => void) | null = null;
  const signal = (): void => {
    wake?.();
    wake = null;
  };
  async function* read(): AsyncGenerator<T> {
    try {
      for (;;) {
        while (values.length > 0) yield values.shift()!;
        if (ending) break;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      if (!ending) onLeave();
    }
    if (ending.error !== undefined) throw ending.error;
  }
  return {
    push(value) {
      values.push(value);
      signal();
    },
    close(error) {
      ending ??= { error };
      signal();
    },
    [Symbol.asyncIterator]: read,
  };
}
