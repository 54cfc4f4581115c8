import { ByteFallbackDecoder, ByteLevelDecoder, type Tokenizer as Library } from '@huggingface/tokenizers';
import { partsOf } from './huggingface-tokenizers/parts-of.ts';
import type { Tokenizer } from './tokenizer.ts';

/**
 * The bytes of a token that is only part of a character: those of its letters in GPT-2's table of bytes, or
 * that of a byte token, `<0xE4>`. Other tokens have the bytes of their text.
 */
export function bytesOfTokens(library: Library, tokenText: Tokenizer['tokenText']): Tokenizer['tokenBytes'] {
  const parts = partsOf(library.decoder);
  const hasByteTokens = parts.some((part) => part instanceof ByteFallbackDecoder);
  const letters = parts.find((part) => part instanceof ByteLevelDecoder)?.byte_decoder;
  return (id) => {
    const text = tokenText(id);
    if (!text.includes('\ufffd')) return new TextEncoder().encode(text);
    const token = library.model!.vocab[id];
    const byte = hasByteTokens ? /^<0x([0-9A-F]{2})>$/.exec(token)?.[1] : undefined;
    if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16));
    if (!letters) return null;
    const bytes: (number | undefined)[] = Array.from(token, (letter) => letters[letter]);
    return bytes.includes(undefined) ? null : Uint8Array.from(bytes as number[]);
  };
}
