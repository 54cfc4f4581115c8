import type { ArrayView } from '../arrays/array-view.ts';
import type { Backend, Recording } from './backend.ts';

/** One computation, made many times on the same arrays, whose contents change in between. */
export interface RepeatedCall<V extends ArrayView> extends Disposable {
  /** Makes it once; the result is the same array each time, or takes the last one's place. */
  run(): V;
  dispose(): void;
}

/**
 * A computation that may be recorded: `body` runs at the first `run`, and then again only where the backend
 * cannot record it or measures each op (`measure`).
 * So `body` may depend on nothing that changes but the contents of arrays, and runs no op with gradients.
 */
export const repeatedCall = <V extends ArrayView>(
  backend: Backend,
  body: (backend: Backend) => V,
): RepeatedCall<V> =>
  backend.record && !backend.measure
    ? recordedCall(backend.record(), body, backend.beforeCall)
    : plainCall(backend, body);

function recordedCall<V extends ArrayView>(
  recording: Recording,
  body: (backend: Backend) => V,
  beforeCall: Backend['beforeCall'],
): RepeatedCall<V> {
  const { backend } = recording;
  const dispose = (): void => {
    recording.dispose();
  };
  let result: V | undefined;
  return {
    run() {
      beforeCall?.();
      if (result) recording.replay();
      else
        result = backend.memory.scoped(
          () => body(backend),
          (made) => [made],
        );
      return result;
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

function plainCall<V extends ArrayView>(backend: Backend, body: (backend: Backend) => V): RepeatedCall<V> {
  const { memory } = backend;
  let result: V | undefined;
  const dispose = (): void => {
    if (result) memory.release(result);
    result = undefined;
  };
  return {
    run() {
      dispose();
      result = memory.scoped(
        () => body(backend),
        (made) => [made],
      );
      memory.persist(result);
      return result;
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}
