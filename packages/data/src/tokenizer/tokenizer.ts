import type { ChatTemplate } from '../template/chat-template.ts';

/** Text to token ids and back, with the chat template of the same model. */
export interface Tokenizer {
  /**
   * Token ids of a text. `addSpecialTokens` adds what the files say (BOS for Llama 2, nothing for SmolLM2);
   * no rule of our own.
   */
  encode(text: string, options?: { readonly addSpecialTokens?: boolean }): number[];
  /** Text of token ids; ids beyond the vocabulary (padded embedding rows) are passed over. */
  decode(ids: ArrayLike<number>, options?: { readonly skipSpecialTokens?: boolean }): string;
  /** One more than the largest id. A model may have more embedding rows, never fewer. */
  readonly vocabularySize: number;
  readonly bosId: number | null;
  readonly eosId: number | null;
  readonly padId: number | null;
  readonly chatTemplate: ChatTemplate | null;
  /**
   * What one token stands for inside a text, its leading space included; U+FFFD where it is only part of a
   * character.
   */
  tokenText(id: number): string;
}
