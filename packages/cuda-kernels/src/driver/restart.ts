/** What to do after an error that a context does not survive. */
export const RESTART =
  'Start the program again: no call on this device can succeed in this process any more.';
