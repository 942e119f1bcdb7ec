/** Gives back first what sorts first: a binary heap. */
export interface Heap<T> {
  readonly size: () => number;
  push(value: T): void;
  /** The first one, left where it is. */
  peek(): T | undefined;
  pop(): T | undefined;
}

export function newHeap<T>(compare: (a: T, b: T) => number): Heap<T> {
  const values: T[] = [];
  return {
    size: () => values.length,
    peek: () => values[0],
    push: (value) => {
      values.push(value);
      rise(values, compare);
    },
    pop: () => {
      const [first] = values;
      const last = values.pop();
      if (last !== undefined && values.length > 0) {
        values[0] = last;
        sink(values, compare);
      }
      return first;
    },
  };
}

/** Moves the last value up to its place. */
function rise<T>(values: T[], compare: (a: T, b: T) => number): void {
  for (let at = values.length - 1; at > 0; ) {
    const parent = (at - 1) >> 1;
    if (!isBefore(values, at, parent, compare)) return;
    swap(values, at, parent);
    at = parent;
  }
}

/** Moves the first value down to its place. */
function sink<T>(values: T[], compare: (a: T, b: T) => number): void {
  for (let at = 0; ; ) {
    const left = 2 * at + 1;
    const child = isBefore(values, left + 1, left, compare) ? left + 1 : left;
    if (!isBefore(values, child, at, compare)) return;
    swap(values, at, child);
    at = child;
  }
}

/** Nothing stands behind the end. */
function isBefore<T>(values: readonly T[], a: number, b: number, compare: (a: T, b: T) => number): boolean {
  const [x, y] = [values[a], values[b]];
  return x !== undefined && y !== undefined && compare(x, y) < 0;
}

function swap<T>(values: T[], a: number, b: number): void {
  const [x, y] = [values[a], values[b]];
  if (x === undefined || y === undefined) return;
  values[a] = y;
  values[b] = x;
}
