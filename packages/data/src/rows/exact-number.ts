/**
 * A number of JSON that JavaScript would hold as another one: `1.0`, which it takes for a whole number, or a
 * whole number beyond 2^53.
 */
export class ExactNumber {
  /** As they were written. */
  readonly digits: string;

  constructor(digits: string) {
    this.digits = digits;
  }

  /** A number of JSON: as JavaScript holds it, or exactly where that is another one. */
  static of(digits: string): number | ExactNumber {
    const exact = new ExactNumber(digits);
    const plain = exact.toJSON();
    return (exact.isFloat ? Number.isInteger(plain) : !Number.isSafeInteger(plain)) ? exact : plain;
  }

  /** Whether Python reads it as a float. */
  get isFloat(): boolean {
    return /[.eE]/.test(this.digits);
  }

  toJSON(): number {
    return Number(this.digits);
  }
}
