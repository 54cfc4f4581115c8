import { createHash, timingSafeEqual } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { ApiError } from './api-error.ts';
import { hasFewLevels, MOST_LEVELS } from './exact-json.ts';

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Demands `Authorization: Bearer <key>`. Keys are compared in constant time. */
export function demandKey(apiKey: string): MiddlewareHandler {
  const expected = sha256(apiKey);
  return async (c, next) => {
    const [, key = ''] = /^Bearer (.+)$/i.exec(c.req.header('authorization') ?? '') ?? [];
    if (!timingSafeEqual(sha256(key), expected))
      throw new ApiError(401, 'invalid_api_key', 'The API key is missing or wrong.');
    await next();
  };
}

/**
 * Without a key, only requests that name this machine are answered: a page of the internet whose name was
 * bound to 127.0.0.1 names itself.
 */
export const demandLocalName =
  (hosts: readonly string[]): MiddlewareHandler =>
  async (c, next) => {
    const name = /^(\[[^\]]*\]|[^:]*)(:\d+)?$/.exec(c.req.header('host') ?? '')?.[1] ?? '';
    if (!hosts.includes(name.toLowerCase()))
      throw new ApiError(403, 'wrong_host', 'This server answers requests to its own address only.');
    await next();
  };

/** A body, and the text that it was read from. */
export interface JsonBody {
  readonly value: unknown;
  readonly text: string;
}

/**
 * The JSON body of a request. Its content type must say so: a browser then asks before a page of another
 * site may send it.
 */
export async function jsonBody(c: Context): Promise<JsonBody> {
  if (!/^application\/json\b/i.test(c.req.header('content-type') ?? ''))
    throw new ApiError(415, 'wrong_content_type', 'The content type must be application/json.');
  const text = decoded(await c.req.arrayBuffer());
  const value = parsed(text);
  if (!hasFewLevels(text))
    throw new ApiError(400, 'nested_too_deep', `A body has at most ${MOST_LEVELS} levels of nesting.`);
  return { value, text };
}

/** Other bytes than UTF-8 would become replacement characters in a prompt. */
function decoded(bytes: ArrayBuffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ApiError(400, 'invalid_json', 'The body is not UTF-8.');
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new ApiError(400, 'invalid_json', 'The body is not JSON.');
  }
}
