import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads';

/** Milliseconds between two looks at the port: the looks (0.5 µs each, Zen 4, Node 20, 2026) then cost nothing beside the ops that ask. */
const PAUSE = 5;

/**
 * A controller that any message of `port` aborts, with `reasonOf` of it. Its signal also looks at the port whenever it is asked: while a thread computes, its event loop
 * delivers nothing, and a pass may last minutes.
 */
export function listeningController<Message>(port: MessagePort, reasonOf: (message: Message) => unknown): AbortController {
  const controller = new AbortController(), { signal } = controller, hear = (message: Message): void => controller.abort(reasonOf(message));
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
