import type { ChatTemplate } from '../template/chat-template.ts';

/** Converts text to token ids and back, with the chat template of the same model. */
export interface Tokenizer {
  /**
   * Token ids of a text. `addSpecialTokens` adds the tokens that the model's files specify (BOS for Llama 2,
   * nothing for SmolLM2).
   */
  encode(text: string, options?: { readonly addSpecialTokens?: boolean }): number[];
  /** Text of token ids. Ids beyond the vocabulary (padding rows of the embedding) are ignored. */
  decode(ids: ArrayLike<number>, options?: { readonly skipSpecialTokens?: boolean }): string;
  /** One more than the largest id. A model may have more embedding rows. */
  readonly vocabularySize: number;
  /**
   * One more than the largest id that is no added token. A model never has fewer embedding rows, but added
   * tokens may have none: an image token in a model of text.
   */
  readonly baseVocabularySize: number;
  readonly bosId: number | null;
  readonly eosId: number | null;
  readonly padId: number | null;
  readonly chatTemplate: ChatTemplate | null;
  /** Text of one token inside a text, with its leading space; U+FFFD if it is only part of a character. */
  tokenText(id: number): string;
  /** UTF-8 bytes of `tokenText`, also where it is only part of a character; null if they are not known. */
  tokenBytes(id: number): Uint8Array | null;
}
