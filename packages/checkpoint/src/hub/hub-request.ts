import { QdyloraError } from '@qdylora/contract';
import type { HubOptions } from './hub-options.ts';

/** Redirects within one request: the hub needs one for a moved repository and one to its storage. */
const MAX_REDIRECTS = 8;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

export interface HubResponse { readonly response: Response; /** Headers of every answer on the way, first to last: the hub's own come before those of its storage. */ readonly headers: readonly Headers[] }

/**
 * One request, redirects followed by hand: the token goes to the endpoint's own host and to no other.
 *
 * @throws QdyloraError NETWORK where no server answers or an answer makes no sense; ACCESS_DENIED for 401 and 403; MISSING_FILE for 404.
 */
export async function hubRequest(url: string, { endpoint, token, signal, fetch = globalThis.fetch }: HubOptions, init: { readonly headers?: Record<string, string> } = {}): Promise<HubResponse> {
  const home = new URL(endpoint).host, headers: Headers[] = [];
  for (let at = new URL(url), hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const own = { 'user-agent': 'qdylora', 'accept-encoding': 'identity', ...init.headers, ...(token !== null && at.host === home ? { authorization: `Bearer ${token}` } : {}) };
    let response: Response;
    try {
      response = await fetch(at, { headers: own, redirect: 'manual', signal });
    } catch (cause) {
      signal?.throwIfAborted();
      throw new QdyloraError('NETWORK', { where: 'hub', problem: `expected an answer from ${at.host}, got ${reasonOf(cause)}`, nextStep: 'Check the connection (HF_ENDPOINT names another server), or work offline with what is cached: HF_HUB_OFFLINE=1.', details: { url: String(at) }, cause });
    }
    headers.push(response.headers);
    const location = response.headers.get('location');
    if (!REDIRECTS.includes(response.status) || location === null) return { response: checked(response, url), headers };
    await response.body?.cancel();
    at = new URL(location, at);
    if (at.protocol !== 'https:' && at.protocol !== new URL(endpoint).protocol) throw new QdyloraError('NETWORK', { where: 'hub', problem: `expected a redirect to https, got ${at.protocol}`, nextStep: 'Something between here and the hub answers in its place.', details: { url } });
  }
  throw new QdyloraError('NETWORK', { where: 'hub', problem: `expected at most ${MAX_REDIRECTS} redirects for ${url}, got more`, nextStep: 'Something between here and the hub answers in its place.', details: { url } });
}

function checked(response: Response, url: string): Response {
  if (response.ok) return response;
  const { status } = response, details = { url, status };
  void response.body?.cancel();
  if (status === 401 || status === 403) throw new QdyloraError('ACCESS_DENIED', { where: 'hub', problem: `expected to be let in at ${url}, got status ${status}`, nextStep: 'The model is private, gated or not there. Accept its terms on its page, and give a token: HF_TOKEN=hf_….', details });
  if (status === 404) throw new QdyloraError('MISSING_FILE', { where: 'hub', problem: `expected something at ${url}, got status 404`, nextStep: 'Check the name and the revision; a private model needs HF_TOKEN.', details });
  throw new QdyloraError('NETWORK', { where: 'hub', problem: `expected status 200 from ${url}, got ${status}`, nextStep: 'Try again later.', details });
}

function reasonOf(cause: unknown): string {
  const inner = (cause as { cause?: { code?: string; message?: string } }).cause;
  return inner?.code ?? inner?.message ?? (cause as Error).message;
}

/** Largest listing of a repository: 10,000 files have about 2 MB. */
const MAX_LISTING_BYTES = 64 * 2 ** 20;

/** JSON of one request. */
export async function hubJson(url: string, options: HubOptions): Promise<unknown> {
  const { response } = await hubRequest(url, options), pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of response.body ?? []) {
    if ((length += piece.length) > MAX_LISTING_BYTES) throw new QdyloraError('NETWORK', { where: 'hub', problem: `expected at most ${MAX_LISTING_BYTES} bytes from ${url}, got more`, details: { url } });
    pieces.push(piece as Uint8Array);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString('utf8'));
  } catch (cause) {
    throw new QdyloraError('NETWORK', { where: 'hub', problem: `expected JSON from ${url}, got something else`, nextStep: 'Something between here and the hub answers in its place (a log-in page?).', details: { url }, cause });
  }
}
