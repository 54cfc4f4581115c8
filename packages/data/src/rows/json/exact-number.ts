/**
 * A number of JSON that a JavaScript number cannot hold exactly: `1.0`, whose point would be lost, or a whole
 * number beyond 2^53.
 */
export class ExactNumber {
  /** The digits as written. */
  readonly digits: string;

  constructor(digits: string) {
    this.digits = digits;
  }

  /** A JavaScript number if it is exact; else an `ExactNumber`. */
  static of(digits: string): number | ExactNumber {
    const exact = new ExactNumber(digits);
    const plain = exact.toJSON();
    return (exact.isFloat ? Number.isInteger(plain) : !Number.isSafeInteger(plain)) ? exact : plain;
  }

  /** True if Python reads it as a float. */
  get isFloat(): boolean {
    return /[.eE]/.test(this.digits);
  }

  toJSON(): number {
    return Number(this.digits);
  }
}
