import type { Item, NewItem, Page, Table, Value } from '../../shared/store/table.ts';

/** A table in front of another one that freezes each item on its way in and out: whoever changes one fails. */
export function frozenItems(table: Table): Table {
  const frozenPage = ({ items, cursor }: Page): Page => ({ items: items.map(frozen), cursor });
  return {
    get: async (key) => frozenOrNull(await table.get(key)),
    getMany: async (keys) => (await table.getMany(keys)).map(frozenOrNull),
    write: async (changes) => {
      for (const change of changes) if ('item' in change) frozen(change.item);
      const result = await table.write(changes);
      if (!result.ok) for (const { found } of result.failed) frozenOrNull(found);
      return result;
    },
    query: async (query, options) => frozenPage(await table.query(query, options)),
    close: () => table.close(),
  };
}

const frozenOrNull = (item: Item | null): Item | null => (item === null ? null : frozen(item));

function frozen<T extends NewItem>(item: T): T {
  for (const place of Object.values(item.indexes)) Object.freeze(place);
  Object.freeze(item.indexes);
  freezeAll(item.data);
  return Object.freeze(item);
}

/** Bytes can't be frozen. */
function freezeAll(value: Value): void {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
  for (const part of Object.values(value)) freezeAll(part);
  Object.freeze(value);
}
