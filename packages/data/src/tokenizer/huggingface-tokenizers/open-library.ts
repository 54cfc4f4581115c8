import { Tokenizer as Library } from '@huggingface/tokenizers';
import { QdyloraError } from '@qdylora/contract';
import type { TokenizerJson } from '../check-tokenizer-json.ts';
import { unknownDropper } from './unknown-dropper.ts';
import { matchParts, matchPreTokenizer } from './match-reference.ts';
import { mergeLongWords } from './merge-long-words.ts';
import { rememberPieces } from './remember-pieces.ts';
import { prependFirst } from './prepend-first.ts';
import { pieceSplitter } from './split-long-pieces.ts';

/**
 * Opens the library's tokenizer, with the tokens and decodings of the Rust library, and faster. Parts of it
 * are replaced, so its version is pinned, and `library-shape.test.ts` fails if a replaced part changes.
 *
 * The alternative, the npm package of the Rust library (tokenizers 0.23.2), was measured in November 2026 on
 * the lines of Shakespeare's plays. Its `encode` is asynchronous and took 1.2 to 2 times the processor time
 * of this one (1.5 to 2.5 s against 1.25 s). It contains 64 MB of binaries, and cannot stop a pattern that
 * backtracks without end.
 *
 * @throws QdyloraError BAD_FILE for parts that the library cannot build
 */
export function openLibrary(json: TokenizerJson, config: object): Library {
  let library: Library;
  try {
    library = new Library({ ...json, pre_tokenizer: matchPreTokenizer(json.pre_tokenizer) }, config);
  } catch (cause) {
    throw new QdyloraError('BAD_FILE', {
      where: 'tokenizer.json',
      problem: `The tokenizer cannot be built: ${(cause as Error).message}`,
      nextStep: 'Its normalizer, pre-tokenizer, model or decoder may be of a kind that is not supported.',
      cause,
    });
  }
  matchParts(library);
  rememberPieces(library);
  mergeLongWords(library);
  const dropUnknown = unknownDropper(library);
  prependFirst(library);
  changePieces(library, dropUnknown);
  changePieces(library, pieceSplitter(json));
  return library;
}

/** Changes the pieces that the pre-tokenizer gives to the model; null changes none. */
function changePieces(library: Library, change: ((piece: string) => string | string[]) | null): void {
  if (!change) return;
  const preTokenize = library.pre_tokenizer;
  // The library calls it as a function; a text without a pre-tokenizer is one piece.
  library.pre_tokenizer = ((text: string, options?: object) =>
    (preTokenize ? preTokenize(text, options) : [text]).flatMap(
      change,
    )) as unknown as Library['pre_tokenizer'];
}
