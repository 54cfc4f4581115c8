/**
 * The same object as an instance of a class: its members are methods and getters of a prototype, and they
 * throw a `TypeError` unless they are called on the instance. For code that takes an interface which a class
 * may implement.
 *
 * @example
 * await train({ ...options, optimizer: classShaped(options.optimizer) }).result;
 */
export function classShaped<T extends object>(inner: T): T {
  class Shaped {
    readonly #inner = inner;
    innerMember(key: keyof T): unknown {
      return this.#inner[key];
    }
  }
  const memberOf = (instance: unknown, key: PropertyKey): unknown =>
    Shaped.prototype.innerMember.call(instance as Shaped, key as keyof T);
  for (const key of Reflect.ownKeys(inner)) {
    const isMethod = typeof inner[key as keyof T] === 'function';
    const descriptor: PropertyDescriptor = isMethod
      ? {
          value(this: unknown, ...parameters: unknown[]) {
            return (memberOf(this, key) as (...values: unknown[]) => unknown).apply(inner, parameters);
          },
        }
      : {
          get(this: unknown) {
            return memberOf(this, key);
          },
        };
    Object.defineProperty(Shaped.prototype, key, descriptor);
  }
  return new Shaped() as unknown as T;
}
