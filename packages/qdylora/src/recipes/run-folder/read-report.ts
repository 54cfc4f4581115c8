import { jsonInFile } from './json-in-file.ts';

/** The fields of a `report.json`; none where there is no such file, or it is not JSON. */
export const readReport = (path: string): Readonly<Record<string, unknown>> =>
  (jsonInFile(path) ?? {}) as Readonly<Record<string, unknown>>;
