/**
 * The sixteen levels of IQ4_NL and IQ4_XS: ggml's table, denser near zero, as normally distributed weights
 * are.
 */
export const IQ4_LEVELS = Int8Array.of(
  -127,
  -104,
  -83,
  -65,
  -49,
  -35,
  -22,
  -10,
  1,
  13,
  25,
  38,
  53,
  69,
  89,
  113,
);
