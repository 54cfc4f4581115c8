/** Token types of a GGUF vocabulary; the types of pieces in a SentencePiece model are the same numbers. */
export const TOKEN_TYPES = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;
