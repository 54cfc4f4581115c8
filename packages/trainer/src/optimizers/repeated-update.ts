import { canRecord, repeatedCall, type ArrayView, type Backend, type RepeatedCall } from '@qdylora/contract';

/** The ops of an optimizer's update, recorded on the first call and replayed on later ones. */
export interface RepeatedUpdate {
  /**
   * Runs `body` or replays it. Between calls, `body` may depend only on changes in the contents of arrays.
   *
   * @param arrays the arrays that `body` reads and writes; if one has been replaced, `body` runs again
   */
  run(backend: Backend, arrays: readonly ArrayView[], body: (backend: Backend) => void): void;
  dispose(): void;
}

export function repeatedUpdate(): RepeatedUpdate {
  let recorded: { readonly call: RepeatedCall<undefined>; readonly arrays: readonly ArrayView[] } | null =
    null;
  const dispose = (): void => {
    recorded?.call.dispose();
    recorded = null;
  };
  return {
    run(backend, arrays, body) {
      if (!canRecord(backend)) {
        dispose();
        body(backend);
        return;
      }
      if (recorded && !areSame(recorded.arrays, arrays)) dispose();
      recorded ??= {
        call: repeatedCall(backend, (recorder) => {
          body(recorder);
          return undefined;
        }),
        arrays,
      };
      try {
        recorded.call.run();
      } catch (error) {
        dispose(); // half a recording must not be replayed
        throw error;
      }
    },
    dispose,
  };
}

const areSame = (left: readonly ArrayView[], right: readonly ArrayView[]): boolean =>
  left.length === right.length && left.every((view, i) => view === right[i]);
