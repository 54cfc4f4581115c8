import { setMaxListeners } from 'node:events';
import { ApiError, clientClosed } from './api-error.ts';

/** A request lasts until it is answered, the client is gone, its time is over or the server ends. */
export interface RequestLife {
  readonly signal: AbortSignal;
  abort(reason: unknown): void;
  /** The request was answered: nothing listens for its end any more. */
  release(): void;
}

export interface LifeOptions {
  /** Fires when the client is gone. */
  readonly client: AbortSignal;
  /** Fires when the server ends. */
  readonly closing: AbortSignal;
  readonly timeoutMs: number;
}

/**
 * A signal for one request. `AbortSignal.any` with a signal that lives as long as the server would keep every
 * request in memory (Node 20).
 */
export function requestLife({ client, closing, timeoutMs }: LifeOptions): RequestLife {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal); // one for each of the answers that were asked for (n)
  const onGone = (): void => controller.abort(clientClosed());
  const onClosing = (): void => controller.abort(closing.reason);
  const onLate = (): void =>
    controller.abort(new ApiError(504, 'timeout', 'The request took longer than the server allows.'));
  const timer = setTimeout(onLate, timeoutMs);
  timer.unref();
  client.addEventListener('abort', onGone);
  closing.addEventListener('abort', onClosing);
  if (client.aborted) onGone();
  if (closing.aborted) onClosing();
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    release() {
      clearTimeout(timer);
      client.removeEventListener('abort', onGone);
      closing.removeEventListener('abort', onClosing);
    },
  };
}
