import { jsonText } from '@qdylora/data';
import { hashText } from '../python/text-rules.ts';
import type { ModelRequest, ModelResponse } from '../requests/model-request.ts';

/** Answers of one model at one rank, by request. Greedy decoding and likelihoods give equal answers again. */
export interface AnswerCache {
  find(request: ModelRequest): ModelResponse | undefined;
  /** Called as soon as a request is answered. */
  add(request: ModelRequest, response: ModelResponse): void;
}

/** SHA-256 of all that a model is asked: equal keys mean equal requests, also of another task. */
export function requestKey(request: ModelRequest): string {
  switch (request.type) {
    case 'loglikelihood': {
      const { type, context, continuation, isToken } = request;
      return hashText(JSON.stringify([type, context, continuation, ...(isToken ? ['token'] : [])]));
    }
    case 'loglikelihood_rolling':
      return hashText(JSON.stringify([request.type, request.text]));
    case 'generate_until':
      return hashText(
        JSON.stringify([request.type, request.context, jsonText(request.settings, {}, () => {})]),
      );
  }
}
