import type { ModelRequest } from '../requests/model-request.ts';
import {
  encodePair,
  encodeText,
  encodeToken,
  prefixToken,
  rollingWindows,
  scoredTokens,
} from './token-pairs.ts';
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

/**
 * The tokens that a model reads for a request.
 *
 * @throws QdyloraError BAD_DATA, BAD_CONFIG, UNSUPPORTED for a request that it cannot answer
 */
export type RequestEncoder = (request: ModelRequest) => EncodedRequest;

/** Encodes each request once: all ranks of a model are asked the same. */
export function requestEncoder(reader: RequestReader): RequestEncoder {
  const encoded = new WeakMap<ModelRequest, EncodedRequest>();
  return (request) => {
    const tokens = encoded.get(request) ?? encode(request, reader);
    encoded.set(request, tokens);
    return tokens;
  };
}

/** The most tokens that the model holds for a request: those that it reads, and those that it writes. */
export function tokensOfRequest({ windows, writing }: EncodedRequest): number {
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
