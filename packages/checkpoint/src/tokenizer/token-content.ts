import { isRecord } from '../json/read-json-file.ts';

/** A special token is written as text, or as a record with `content`. */
export function tokenContent(value: unknown): string | null {
  if (typeof value === 'string') return value;
  return isRecord(value) && typeof value.content === 'string' ? value.content : null;
}
