/**
 * A list in order, in chunks: to insert into the middle of one array of 100,000, or to take from its front, moves all
 * that stands behind. Where something stands is told by `isBefore`, which holds for the values in front of it only.
 */
export type SortedList<T extends object> = T[][];

type IsBefore<T> = (value: T) => boolean;

/** A chunk that grows larger is split in two. */
const chunkMax = 512;

export function insertAt<T extends object>(list: SortedList<T>, value: T, isBefore: IsBefore<T>): void {
  const found = placeIn(list, isBefore);
  const last = list.at(-1);
  if (last === undefined) {
    list.push([value]);
    return;
  }
  const { chunkNo, at } = found ?? { chunkNo: list.length - 1, at: last.length };
  const chunk = list[chunkNo] ?? last;
  if (at === chunk.length) chunk.push(value);
  else chunk.splice(at, 0, value);
  if (chunk.length > chunkMax) list.splice(chunkNo + 1, 0, chunk.splice(chunk.length >> 1));
}

/** Takes out the first value that `isBefore` does not hold for. */
export function removeAt<T extends object>(list: SortedList<T>, isBefore: IsBefore<T>): void {
  const found = placeIn(list, isBefore);
  if (found === null) return;
  const { chunk, chunkNo, at } = found;
  chunk.splice(at, 1);
  if (chunk.length === 0) list.splice(chunkNo, 1);
}

/** The first value that `isBefore` does not hold for. */
export function firstFrom<T extends object>(list: SortedList<T>, isBefore: IsBefore<T>): T | undefined {
  const found = placeIn(list, isBefore);
  return found?.chunk[found.at];
}

/** From the first value that `isBefore` does not hold for to the end. */
export function* upFrom<T extends object>(list: SortedList<T>, isBefore: IsBefore<T>): Generator<T> {
  const found = placeIn(list, isBefore);
  if (found === null) return;
  yield* found.chunk.slice(found.at);
  for (const chunk of list.slice(found.chunkNo + 1)) yield* chunk;
}

/** From the last value that `isBefore` holds for to the beginning. */
export function* downFrom<T extends object>(list: SortedList<T>, isBefore: IsBefore<T>): Generator<T> {
  const found = placeIn(list, isBefore);
  if (found !== null) yield* found.chunk.slice(0, found.at).reverse();
  for (const chunk of list.slice(0, found?.chunkNo ?? list.length).reverse()) yield* chunk.toReversed();
}

/** Where the first value stands that `isBefore` does not hold for; null when it holds for all. No chunk is empty. */
function placeIn<T extends object>(
  list: SortedList<T>,
  isBefore: IsBefore<T>,
): { readonly chunk: T[]; readonly chunkNo: number; readonly at: number } | null {
  const isAllBefore = (chunk: T[]): boolean => {
    const last = chunk.at(-1);
    return last !== undefined && isBefore(last);
  };
  const chunkNo = list.length === 1 ? 0 : firstNot(list, isAllBefore);
  const chunk = list[chunkNo];
  const at = chunk === undefined ? 0 : firstNot(chunk, isBefore);
  return chunk === undefined || at === chunk.length ? null : { chunk, chunkNo, at };
}

/** Index of the first value that `holds` does not hold for. Most things are put last, so the end is tried first. */
function firstNot<T extends object>(values: readonly T[], holds: (value: T) => boolean): number {
  const isHeldAt = (at: number): boolean => {
    const value = values[at];
    return value !== undefined && holds(value);
  };
  if (values.length === 0 || isHeldAt(values.length - 1)) return values.length;
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isHeldAt(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}
