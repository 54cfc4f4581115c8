const encoder = new TextEncoder();

/** The token of a byte in vocabularies with byte fallback: `<0xE6>`. */
export const byteToken = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;

/** The byte tokens of a text: `é` → `<0xC3>`, `<0xA9>`. */
export const byteTokens = (text: string): string[] => Array.from(encoder.encode(text), byteToken);
