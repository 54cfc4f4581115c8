import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads';

/**
 * Milliseconds between two looks at the port: sooner than a person notices. A look costs tens of µs after a
 * kernel has filled the caches, little beside the ops between two looks.
 */
const PAUSE = 25;

/**
 * A controller that any message of `port` aborts, with the reason `reasonOf(message)`. Reading its signal
 * also looks at the port: while a thread computes, its event loop delivers no messages, and a pass may take
 * minutes.
 */
export function listeningController<Message>(
  port: MessagePort,
  reasonOf: (message: Message) => unknown,
): AbortController {
  const controller = new AbortController();
  const { signal } = controller;
  const hear = (message: Message): void => controller.abort(reasonOf(message));
  let lookedAt = 0;
  const look = (): void => {
    const now = performance.now();
    if (now - lookedAt < PAUSE) return;
    lookedAt = now;
    const received = receiveMessageOnPort(port) as { readonly message: Message } | undefined;
    if (received) hear(received.message);
  };
  port.on('message', hear);
  Object.defineProperty(signal, 'aborted', {
    get() {
      const isAborted = (): boolean => Reflect.get(AbortSignal.prototype, 'aborted', signal) as boolean;
      if (!isAborted()) look();
      return isAborted();
    },
  });
  return controller;
}
