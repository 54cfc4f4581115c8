import type { Tokenizer } from '@qdylora/data';
import type { ModelRequest } from '../requests/model-request.ts';
import {
  encodePair,
  encodeText,
  encodeToken,
  prefixToken,
  rollingWindows,
  scoredTokens,
} from './encode-requests.ts';
import { generationSettings, type GenerationSettings } from './generation-settings.ts';
import type { ScoredTokens, TokenModel } from './token-model.ts';
import { cutPrompt, type CutPrompt } from './write-until.ts';

/** What tokens of a request depend on. */
export type RequestReader = Pick<TokenModel, 'tokenizer' | 'maxLength'>;

/** A request as tokens. */
export interface EncodedRequest {
  /** Windows to score; none for a generated text. */
  readonly windows: readonly ScoredTokens[];
  readonly writing: (CutPrompt & { readonly settings: GenerationSettings }) | null;
  readonly isCut: boolean;
}

/** Tokens of requests, by reader: all ranks are asked the same. */
const encodedByTokenizer = new WeakMap<Tokenizer, Map<number, WeakMap<ModelRequest, EncodedRequest>>>();

/**
 * The tokens that a model reads for a request.
 *
 * @throws QdyloraError BAD_DATA, BAD_CONFIG, UNSUPPORTED for a request that it cannot answer
 */
export function encodeRequest(request: ModelRequest, reader: RequestReader): EncodedRequest {
  const byLength =
    encodedByTokenizer.get(reader.tokenizer) ?? new Map<number, WeakMap<ModelRequest, never>>();
  const encoded = byLength.get(reader.maxLength) ?? new WeakMap<ModelRequest, EncodedRequest>();
  const found = encoded.get(request) ?? encode(request, reader);
  encodedByTokenizer.set(reader.tokenizer, byLength.set(reader.maxLength, encoded.set(request, found)));
  return found;
}

/** The most tokens that the model holds for a request: those that it reads, and those that it writes. */
export function tokensOfRequest(request: ModelRequest, reader: RequestReader): number {
  const { windows, writing } = encodeRequest(request, reader);
  const written = writing ? writing.ids.length + writing.settings.maxNewTokens : 0;
  return windows.reduce((most, { ids }) => Math.max(most, ids.length), written);
}

function encode(request: ModelRequest, { tokenizer, maxLength }: RequestReader): EncodedRequest {
  switch (request.type) {
    case 'loglikelihood': {
      const encodes = request.isToken ? encodeToken : encodePair;
      const pair = encodes(tokenizer, request.context, request.continuation);
      const isCut = pair.context.length + pair.continuation.length > maxLength + 1;
      return { windows: [scoredTokens(pair, maxLength)], writing: null, isCut };
    }
    case 'loglikelihood_rolling': {
      const pairs = rollingWindows(encodeText(tokenizer, request.text), prefixToken(tokenizer), maxLength);
      return { windows: pairs.map((pair) => scoredTokens(pair, maxLength)), writing: null, isCut: false };
    }
    case 'generate_until': {
      const settings = generationSettings(request.settings);
      const cut = cutPrompt({ tokenizer, maxLength }, request.context, settings.maxNewTokens);
      return { windows: [], writing: { ...cut, settings }, isCut: cut.cutTokens > 0 };
    }
  }
}
