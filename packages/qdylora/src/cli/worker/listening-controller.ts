import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads';

/**
 * Minimum time between two polls of the port. A poll costs tens of µs when a kernel has evicted the caches,
 * little beside the ops in between.
 */
const POLL_INTERVAL_MS = 25;

/**
 * An AbortController that any message on `port` aborts, with the reason `reasonOf(message)`. Reading
 * `signal.aborted` also polls the port, because a busy thread's event loop delivers no messages.
 */
export function listeningController<Message>(
  port: MessagePort,
  reasonOf: (message: Message) => unknown,
): AbortController {
  const controller = new AbortController();
  const { signal } = controller;
  const abortFor = (message: Message): void => controller.abort(reasonOf(message));
  let polledAt = 0;
  const poll = (): void => {
    const now = performance.now();
    if (now - polledAt < POLL_INTERVAL_MS) return;
    polledAt = now;
    const received = receiveMessageOnPort(port) as { readonly message: Message } | undefined;
    if (received) abortFor(received.message);
  };
  port.on('message', abortFor);
  Object.defineProperty(signal, 'aborted', {
    get() {
      const isAborted = (): boolean => Reflect.get(AbortSignal.prototype, 'aborted', signal) as boolean;
      if (!isAborted()) poll();
      return isAborted();
    },
  });
  return controller;
}
