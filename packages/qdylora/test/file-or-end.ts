import { existsSync } from 'node:fs';

/** Waits until a file exists, or until the run that should write it has ended. */
export async function fileOrEnd(path: string, run: Promise<unknown>): Promise<void> {
  let isOver = false;
  void run.finally(() => {
    isOver = true;
  });
  while (!isOver && !existsSync(path)) await new Promise((wake) => setTimeout(wake, 10));
}
