import { openByteSource, readBytes } from '../read/byte-source.ts';
import { badFile, mistakenFile } from '../bad-file.ts';
import { assertJsonLimits, CONFIG_LIMITS, type JsonLimits } from './json-limits.ts';
import { parsePythonJson } from './parse-python-json.ts';
import { isRecord } from './is-record.ts';
import { kindOf } from './kind-of.ts';

/**
 * Reads a text file in strict UTF-8; a byte-order mark is kept. @throws QdyloraError MISSING_FILE, BAD_FILE.
 */
export function readTextFile(path: string, format: string, maxBytes: number = CONFIG_LIMITS.bytes): string {
  const source = openByteSource(path, format);
  try {
    if (source.byteLength > maxBytes)
      throw badFile({
        format,
        path,
        problem: `The file has ${source.byteLength} bytes, more than the limit of ${maxBytes}.`,
      });
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      readBytes(source, 0, source.byteLength),
    );
  } catch (cause) {
    if (cause instanceof TypeError)
      throw badFile({ format, path, problem: 'The file is not valid UTF-8.', cause });
    throw cause;
  } finally {
    source.close();
  }
}

/**
 * Reads a JSON file with an object at the top. Keys are own properties, `__proto__` included, so nothing
 * reaches a prototype.
 *
 * @throws QdyloraError MISSING_FILE, BAD_FILE.
 */
export function readJsonObject(
  path: string,
  format: string,
  limits: JsonLimits = CONFIG_LIMITS,
): Record<string, unknown> {
  const value = readJson(path, format, limits);
  if (!isRecord(value))
    throw badFile({ format, path, problem: `The file must hold a JSON object (got ${kindOf(value)}).` });
  return value;
}

/** Reads a JSON file. @throws QdyloraError MISSING_FILE, BAD_FILE. */
export function readJson(path: string, format: string, limits: JsonLimits = CONFIG_LIMITS): unknown {
  const text = readTextFile(path, format, limits.bytes);
  assertJsonLimits(path, format, text, limits);
  try {
    return parsePythonJson(text);
  } catch (cause) {
    if (text.startsWith('\uFEFF'))
      throw badFile({
        format,
        path,
        problem: 'The file begins with a byte-order mark, which JSON does not allow.',
        nextStep: 'Write the file without it (in UTF-8, without BOM): transformers does not read it either.',
        cause,
      });
    const mistaken = mistakenFile(Buffer.from(text.slice(0, 64)));
    if (mistaken)
      throw badFile({
        format,
        path,
        problem: `The file is not JSON but ${mistaken.got}.`,
        nextStep: mistaken.nextStep,
        cause,
      });
    throw badFile({
      format,
      path,
      problem: `The file is not JSON (${(cause as Error).message.slice(0, 200)}).`,
      cause,
    });
  }
}
