import { setTimeout } from 'node:timers/promises';
import { QdyloraError } from '@qdylora/contract';
import { badFile } from '../bad-file.ts';
import { assertJsonLimits, type JsonLimits } from '../json/json-limits.ts';
import type { HubOptions } from './hub-options.ts';
import { listenFor, type Listening } from './listen-for.ts';

/** Redirects per request: the hub needs one for a moved repository and one to its storage. */
const MAX_REDIRECTS = 8;
/** Longest silence before a server counts as unreachable, even if the connection is open. */
const LONGEST_SILENCE_MS = 60_000;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

export interface HubResponse {
  readonly response: Response;
  /** The caller must end it if it does not read the body. */
  readonly listening: Listening;
}

/**
 * Sends a request and follows redirects itself, so that the token goes only to the endpoint's host.
 *
 * @throws QdyloraError BAD_ARGUMENT for an invalid endpoint or token; NETWORK if no server answers or an
 * answer is invalid; ACCESS_DENIED for 401 and 403; MISSING_FILE for 404.
 */
export async function hubRequest(
  url: string,
  { endpoint, token, signal, fetch = globalThis.fetch, longestSilenceMs = LONGEST_SILENCE_MS }: HubOptions,
  init: { readonly headers?: Record<string, string> } = {},
): Promise<HubResponse> {
  const home = hostOf(endpoint);
  assertToken(token);
  for (let at = new URL(url), hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const requestHeaders = {
      'user-agent': 'qdylora',
      'accept-encoding': 'identity',
      ...init.headers,
      ...(token !== null && at.host === home ? { authorization: `Bearer ${token}` } : {}),
    };
    const listening = listenFor(longestSilenceMs, signal);
    let response: Response;
    try {
      response = await fetch(at, { headers: requestHeaders, redirect: 'manual', signal: listening.signal });
      listening.heard();
    } catch (cause) {
      listening.end();
      signal?.throwIfAborted();
      throw new QdyloraError('NETWORK', {
        where: 'hub',
        problem: `${at.host} does not answer: ${reasonOf(cause)}.`,
        nextStep:
          'Check the connection (HF_ENDPOINT names another server), or work offline with what is cached: ' +
          'HF_HUB_OFFLINE=1.',
        details: { url: String(at) },
        cause,
      });
    }
    const location = response.headers.get('location');
    if (!REDIRECTS.includes(response.status) || location === null)
      return { response: checked(response, url, listening), listening };
    listening.end();
    await response.body?.cancel();
    at = addressOf(location, at, url);
    if (at.protocol !== 'https:' && at.protocol !== new URL(endpoint).protocol)
      throw new QdyloraError('NETWORK', {
        where: 'hub',
        problem: `A redirect must lead to https (got ${at.protocol}).`,
        nextStep: 'Something between here and the hub answers in its place.',
        details: { url },
      });
  }
  throw new QdyloraError('NETWORK', {
    where: 'hub',
    problem: `${url} leads over more than ${MAX_REDIRECTS} redirects.`,
    nextStep: 'Something between here and the hub answers in its place.',
    details: { url },
  });
}

function hostOf(endpoint: string): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
  if (url && /^https?:$/.test(url.protocol)) return url.host;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'hub',
    problem:
      'The address of the hub must be like https://huggingface.co (got ' +
      `${JSON.stringify(endpoint.slice(0, 200))}).`,
    nextStep: 'Correct HF_ENDPOINT, or leave it out.',
    details: { endpoint },
  });
}

/** Checks that a token is a valid header value; the message never shows the token. */
function assertToken(token: string | null): void {
  if (token === null || /^[\x21-\x7e]+$/.test(token)) return;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'hub',
    problem: 'The token must consist of visible ASCII characters without spaces.',
    nextStep: 'Correct HF_TOKEN: was it copied whole, and nothing else?',
  });
}

function addressOf(location: string, from: URL, url: string): URL {
  if (URL.canParse(location, from.href)) return new URL(location, from);
  throw new QdyloraError('NETWORK', {
    where: 'hub',
    problem: `${url} redirects to ${JSON.stringify(location.slice(0, 200))}, which is not an address.`,
    nextStep: 'Something between here and the hub answers in its place.',
    details: { url },
  });
}

function checked(response: Response, url: string, { end }: Listening): Response {
  if (response.ok) return response;
  end();
  const { status } = response;
  const details = { url, status, ...waitOf(response) };
  void response.body?.cancel();
  if (status === 401 || status === 403)
    throw new QdyloraError('ACCESS_DENIED', {
      where: 'hub',
      problem: `${url} refuses access (status ${status}).`,
      nextStep:
        'The model is private, gated or not there. Accept its terms on its page, and give a token: ' +
        'HF_TOKEN=hf_….',
      details,
    });
  if (status === 404)
    throw new QdyloraError('MISSING_FILE', {
      where: 'hub',
      problem: `There is nothing at ${url} (status 404).`,
      nextStep: 'Check the name and the revision; a private model needs HF_TOKEN.',
      details,
    });
  throw new QdyloraError('NETWORK', {
    where: 'hub',
    problem: `${url} answered with status ${status} instead of 200.`,
    nextStep: 'Try again later.',
    details,
  });
}

/** Longest wait that is respected. */
const MAX_WAIT_MS = 60_000;

/** The wait that a server requests after too many requests. */
function waitOf({ headers }: Response): { readonly waitMs?: number } {
  const seconds = Number(headers.get('retry-after') ?? NaN);
  return seconds >= 0 ? { waitMs: Math.min(1000 * seconds, MAX_WAIT_MS) } : {};
}

/** The wait requested by the server of an error, in milliseconds; 0 without one. */
export const requestedWait = ({ details: { waitMs } }: QdyloraError): number =>
  typeof waitMs === 'number' ? waitMs : 0;

function reasonOf(cause: unknown): string {
  const inner = (cause as { cause?: { code?: string; message?: string } }).cause;
  return inner?.code ?? inner?.message ?? (cause as Error).message;
}

/** Largest listing of a repository: 10,000 files have about 2 MB, and seven keys each. */
const MAX_LISTING_BYTES = 64 * 2 ** 20;
const LISTING_LIMITS: JsonLimits = {
  bytes: MAX_LISTING_BYTES,
  depth: 64,
  objects: 262_144,
  lists: 65_536,
  keys: 1_048_576,
  values: 1_048_576,
};

/** The body; a broken connection is a typed error, and an abort throws the signal's reason. */
export async function* bodyOf(
  { response, listening }: HubResponse,
  url: string,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of response.body ?? []) {
      yield piece as Uint8Array;
      listening.heard();
    }
  } catch (cause) {
    if (QdyloraError.isInstance(cause)) throw cause;
    signal?.throwIfAborted();
    throw new QdyloraError('NETWORK', {
      where: 'hub',
      problem: `The connection broke before the end of ${url} (${reasonOf(cause)}).`,
      nextStep: 'Run it again: the download resumes where it stopped.',
      details: { url },
      cause,
    });
  } finally {
    listening.end();
  }
}

/** Waits, until an abort at most. @throws the signal's reason */
export async function pause({ signal, sleep }: HubOptions, ms: number): Promise<void> {
  if (sleep) await sleep(ms);
  else await setTimeout(ms, undefined, { signal }).catch(() => undefined); // rejects at an abort alone
  signal?.throwIfAborted();
}

/** Sends a request, and once more after the wait that the server requests. */
async function patientRequest(url: string, options: HubOptions): Promise<HubResponse> {
  try {
    return await hubRequest(url, options);
  } catch (error) {
    const wait = QdyloraError.isInstance(error) ? requestedWait(error) : 0;
    if (wait === 0) throw error;
    await pause(options, wait);
    return await hubRequest(url, options);
  }
}

/**
 * Sends a request and parses its JSON.
 *
 * @throws QdyloraError as `hubRequest`; BAD_FILE for an answer beyond a limit of JSON
 */
export async function hubJson(url: string, options: HubOptions): Promise<unknown> {
  const answer = await patientRequest(url, options);
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of bodyOf(answer, url, options.signal)) {
    if ((length += piece.length) > MAX_LISTING_BYTES)
      throw badFile({
        format: 'hub',
        path: url,
        problem: `The answer is longer than ${MAX_LISTING_BYTES} bytes.`,
        nextStep: 'Name a repository with fewer files.',
      });
    pieces.push(piece);
  }
  const text = Buffer.concat(pieces).toString('utf8');
  assertJsonLimits(url, 'hub', text, LISTING_LIMITS);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new QdyloraError('NETWORK', {
      where: 'hub',
      problem: `The answer from ${url} is not JSON.`,
      nextStep: 'Something between here and the hub answers in its place (a log-in page?).',
      details: { url },
      cause,
    });
  }
}
