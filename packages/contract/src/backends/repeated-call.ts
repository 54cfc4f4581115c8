import type { ArrayView } from '../arrays/array-view.ts';
import { wrapBackend, type Backend, type Recording, type RecordOptions } from './backend.ts';

/** A computation that runs many times on the same arrays, whose contents change. */
export interface RepeatedCall<V extends ArrayView | undefined> extends Disposable {
  /**
   * Runs it. The result is the same array each time (recorded), or a new array that replaces the last one.
   */
  run(): V;
  /**
   * A further computation without a result. If both are recorded, it reuses the memory of this one's
   * temporaries.
   */
  another(body: (backend: Backend) => undefined): RepeatedCall<undefined>;
  dispose(): void;
}

/** Whether a backend replays what it has recorded: one that measures does not, so that every op is seen. */
export const canRecord = (backend: Backend): backend is Backend & Required<Pick<Backend, 'record'>> =>
  backend.record !== undefined && backend.measure === undefined;

/**
 * A computation that may be recorded: `body` runs at the first `run`, and then again only where the backend
 * cannot record it or measures each op (`measure`).
 * So `body` may depend on nothing that changes but the contents of arrays.
 */
export const repeatedCall = <V extends ArrayView | undefined>(
  backend: Backend,
  body: (backend: Backend) => V,
  options?: RecordOptions,
): RepeatedCall<V> =>
  canRecord(backend) ? recordedCall(() => backend.record(options), backend, body) : plainCall(backend, body);

/** @param begin begins a recording: at once, and again after a first run that failed */
function recordedCall<V extends ArrayView | undefined>(
  begin: () => Recording,
  layer: Backend,
  body: (backend: Backend) => V,
): RepeatedCall<V> {
  const { floatDtypes } = layer;
  const beforeCall = layer.beforeCall?.bind(layer);
  const onFallback = layer.onFallback?.bind(layer);
  let recording: Recording | null = begin();
  let first: { readonly result: V } | undefined;
  const current = (): Recording => (recording ??= begin());
  const dispose = (): void => {
    recording?.dispose();
  };
  const recordFirst = (): V => {
    const backend = wrapBackend(current().backend, { beforeCall, onFallback, floatDtypes });
    try {
      return backend.memory.scoped(
        () => body(backend),
        (made) => [made],
      );
    } catch (error) {
      dispose(); // half a recording must not be replayed, nor be added to
      recording = null;
      throw error;
    }
  };
  return {
    run() {
      if (first) current().replay(beforeCall);
      else first = { result: recordFirst() };
      return first.result;
    },
    another: (next) => recordedCall(() => current().another(), layer, next),
    dispose,
    [Symbol.dispose]: dispose,
  };
}

function plainCall<V extends ArrayView | undefined>(
  backend: Backend,
  body: (backend: Backend) => V,
): RepeatedCall<V> {
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
    another: (next) => plainCall(backend, next),
    dispose,
    [Symbol.dispose]: dispose,
  };
}
