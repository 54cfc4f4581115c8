import { badFile } from '../bad-file.ts';
import { openByteSource, readBytes } from '../read/byte-source.ts';
import { protobufFields } from './protobuf-fields.ts';

/**
 * The parts of a SentencePiece model file (`tokenizer.model`) that tokens depend on. Names and defaults are
 * those of its `sentencepiece_model.proto`.
 */
export interface SentencePieceModel {
  readonly pieces: readonly SentencePiece[];
  /** UNIGRAM = 1, BPE = 2, WORD = 3, CHAR = 4. */
  readonly modelType: number;
  readonly treatWhitespaceAsSuffix: boolean;
  readonly bosId: number;
  readonly eosId: number;
  readonly padId: number;
  readonly unkId: number;
  /** Size of the character map that is applied to the text first; 0 = none. */
  readonly charsmapBytes: number;
  readonly addDummyPrefix: boolean;
  readonly removeExtraWhitespaces: boolean;
  readonly escapeWhitespaces: boolean;
}

export interface SentencePiece {
  readonly piece: string;
  readonly score: number;
  /** One of `TOKEN_TYPES`, as in GGUF. */
  readonly type: number;
}

/** Largest file. The largest known one, Gemma's, has 4.2 MB. */
const MAX_BYTES = 64 * 2 ** 20;

/** Reads a SentencePiece model file.  @throws QdyloraError MISSING_FILE, BAD_FILE */
export function readSentencePiece(path: string): SentencePieceModel {
  const fail = (problem: string): Error => badFile({ format: 'sentencepiece', path, problem });
  const source = openByteSource(path, 'sentencepiece');
  try {
    if (source.byteLength > MAX_BYTES)
      throw fail(`the file has ${source.byteLength} bytes, more than the limit of ${MAX_BYTES}`);
    return modelOf(readBytes(source, 0, source.byteLength), fail);
  } finally {
    source.close();
  }
}

type Fail = (problem: string) => Error;

/** Builds the model from fields, by the numbers of the .proto file. */
function modelOf(bytes: Uint8Array, fail: Fail): SentencePieceModel {
  const pieces: SentencePiece[] = [];
  let trainer: Message = new Map();
  let normalizer: Message = new Map();
  for (const { number, value } of protobufFields(bytes, fail)) {
    if (number === 1) pieces.push(pieceOf(message(value, fail), fail));
    else if (number === 2) trainer = message(value, fail);
    else if (number === 3) normalizer = message(value, fail);
  }
  if (pieces.length === 0) throw fail('there are no pieces');
  const charsmap = normalizer.get(2);
  return {
    pieces,
    modelType: whole(trainer, 3, 1),
    treatWhitespaceAsSuffix: whole(trainer, 24, 0) !== 0,
    unkId: whole(trainer, 40, 0),
    bosId: whole(trainer, 41, 1),
    eosId: whole(trainer, 42, 2),
    padId: whole(trainer, 43, -1),
    charsmapBytes: charsmap instanceof Uint8Array ? charsmap.length : 0,
    addDummyPrefix: whole(normalizer, 3, 1) !== 0,
    removeExtraWhitespaces: whole(normalizer, 4, 1) !== 0,
    escapeWhitespaces: whole(normalizer, 5, 1) !== 0,
  };
}

/** The last value of each field, as protobuf defines. */
type Message = ReadonlyMap<number, number | Uint8Array>;

function message(value: number | Uint8Array, fail: Fail): Message {
  if (typeof value === 'number') throw fail('a message was expected, but there is a whole number');
  return new Map([...protobufFields(value, fail)].map(({ number, value: field }) => [number, field]));
}

function whole(of: Message, number: number, otherwise: number): number {
  const value = of.get(number);
  return typeof value === 'number' ? value : otherwise;
}

function pieceOf(of: Message, fail: Fail): SentencePiece {
  const text = of.get(1);
  const score = of.get(2);
  if (!(text instanceof Uint8Array) || text.length === 0) throw fail('a piece has no text');
  if (score !== undefined && (typeof score === 'number' || score.length !== 4))
    throw fail('the score of a piece must have four bytes');
  return {
    piece: decoded(text, fail),
    score: score ? new DataView(score.buffer, score.byteOffset).getFloat32(0, true) : 0,
    type: whole(of, 3, 1),
  };
}

function decoded(text: Uint8Array, fail: Fail): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text);
  } catch {
    throw fail('the text of a piece is not valid UTF-8');
  }
}
