/** A value that is made when it is first asked for: a cold start does not pay for schemas that it never reads with. */
export function lazily<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | null = null;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
