import { readFileSync } from 'node:fs';

/** The JSON of a file; null if there is none, or it is not JSON: each caller says what that means. */
export function jsonInFile(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}
