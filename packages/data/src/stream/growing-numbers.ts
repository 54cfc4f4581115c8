/** A list of whole numbers below 2^32, 4 bytes each. */
export interface GrowingNumbers {
  readonly length: number;
  push(value: number): void;
  at(index: number): number;
}

export function growingNumbers(): GrowingNumbers {
  let numbers = new Uint32Array(1024);
  let length = 0;
  return {
    get length() {
      return length;
    },
    push(value) {
      if (length === numbers.length) {
        const more = new Uint32Array(length * 2);
        more.set(numbers);
        numbers = more;
      }
      numbers[length++] = value;
    },
    at: (index) => numbers[index],
  };
}
