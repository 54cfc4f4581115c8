import { readFileSync } from 'node:fs';

/** The fields of a `report.json`; none where there is no such file, or it is not JSON. */
export function readReport(path: string): Readonly<Record<string, unknown>> {
  try {
    return (JSON.parse(readFileSync(path, 'utf8')) ?? {}) as Record<string, unknown>;
  } catch {
    return {}; // each caller says what a missing field means
  }
}
