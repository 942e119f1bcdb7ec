const inspect = Symbol.for('nodejs.util.inspect.custom');

/** A secret that can't be printed by accident: text, JSON and inspection all show `[secret]`. */
export class Secret {
  readonly #value: string;

  /** Throws a RangeError for an empty value, since an empty key would let anyone sign. */
  constructor(value: string) {
    if (value.length === 0) throw new RangeError('a secret must not be empty: set it before use');
    this.#value = value;
  }

  /** The value itself: for the digest and nothing else. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect](): string {
    return '[secret]';
  }
}
