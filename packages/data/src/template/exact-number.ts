/** A number of JSON that JavaScript would hold as another one: `1.0`, which it takes for a whole number, or a whole number beyond 2^53. */
export class ExactNumber {
  /** As they were written. */
  readonly digits: string;

  constructor(digits: string) {
    this.digits = digits;
  }

  /** Whether Python reads it as a float. */
  get isFloat(): boolean {
    return /[.eE]/.test(this.digits);
  }

  toJSON(): number {
    return Number(this.digits);
  }
}
