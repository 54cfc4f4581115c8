/** An expression is not read: Python refuses it, or it is beyond what is implemented here. */
export class UnreadError extends Error {}
