import type { Warn } from './hooks.ts';

/** Passes the first message on. */
export function tellOnce(tell: Warn): Warn {
  let isTold = false;
  return (message) => {
    if (!isTold) tell(message);
    isTold = true;
  };
}
