import { z } from 'zod';
import { lazily } from '../core/lazily.ts';
import type { Item, Query } from './table.ts';

/** Where a page ended: the key of its last item, and its place in the index that was read. */
const pagePositionSchema = lazily(() =>
  z.object({
    pk: z.string().min(1),
    sk: z.string().min(1),
    indexPk: z.string().min(1),
    indexSk: z.union([z.string().min(1), z.number()]),
  }),
);
export type PagePosition = z.infer<ReturnType<typeof pagePositionSchema>>;

/** The cursor is opaque to callers: base64url of JSON. Both engines write the same. */
export function encodeCursor(position: PagePosition): string {
  return Buffer.from(JSON.stringify(position), 'utf8').toString('base64url');
}

/** Throws RangeError for a cursor that was not made for this kind of query. */
export function decodeCursor(cursor: string, query: Query): PagePosition {
  const parsed = pagePositionSchema().safeParse(parseJson(Buffer.from(cursor, 'base64url').toString('utf8')));
  const sortKeyType = query.from === 'due' ? 'number' : 'string';
  if (!parsed.success || parsed.data.indexPk !== query.pk || typeof parsed.data.indexSk !== sortKeyType) {
    throw new RangeError(
      `the cursor of ${cursor.length} characters does not belong to this query of ${query.from} ${query.pk}; start again without a cursor`,
    );
  }
  return parsed.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Where `item` stands in what `query` reads; null when that index does not list it. */
export function positionOf(item: Item, query: Query): PagePosition | null {
  const { pk, sk } = item;
  switch (query.from) {
    case 'partition':
      return { pk, sk, indexPk: pk, indexSk: sk };
    case 'due': {
      const { due } = item.indexes;
      return due === undefined ? null : { pk, sk, indexPk: due.pk, indexSk: due.at };
    }
    case 'sim':
    case 'time': {
      const index = item.indexes[query.from];
      return index === undefined ? null : { pk, sk, indexPk: index.pk, indexSk: index.sk };
    }
    default: {
      const never: never = query;
      throw new TypeError(`unknown query ${JSON.stringify(never)}`);
    }
  }
}

/** Where the next page of `query` begins after one that ends with `items`; null after none. */
export function cursorAfter(items: readonly Item[], query: Query): string | null {
  const last = items.at(-1);
  const position = last === undefined ? null : positionOf(last, query);
  return position === null ? null : encodeCursor(position);
}
