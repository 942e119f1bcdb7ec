/**
 * The one thing that differs between AWS and one machine: a table of items with optimistic versions,
 * all-or-nothing writes and three sparse indexes. The domain's stores are written once on top of it
 * (README, D2), so that DynamoDB and SQLite can only tell the same truth.
 */

/** What an attribute may hold. Bytes are stored as they are. Numbers are finite. */
export type Value =
  | string
  | number
  | boolean
  | null
  | Uint8Array
  | readonly Value[]
  | { readonly [key: string]: Value };

export interface Key {
  readonly pk: string;
  readonly sk: string;
}

/** Where an item stands in the indexes; an index that is left out does not list the item. */
export interface IndexKeys {
  /** What needs work: sorted by the moment at which it does (epoch ms). */
  readonly due?: { readonly pk: string; readonly at: number };
  /** A SIM's timeline. */
  readonly sim?: { readonly pk: string; readonly sk: string };
  /** Everything by time, in shards. */
  readonly time?: { readonly pk: string; readonly sk: string };
}

/**
 * Member of an item's data that says why the rest of it can't be unpacked. Only who reads that row (`readRow`) hears of
 * it, so that a page with one such row still brings the others.
 */
export const damageMember = '$damage';

export interface Item extends Key {
  /** Starts at 1, grows by 1 with each replace; `add` does not change it. */
  readonly version: number;
  readonly data: { readonly [attribute: string]: Value };
  readonly indexes: IndexKeys;
  /** Epoch seconds after which the engine may delete the item: a hint, sometimes days late. Null keeps it. */
  readonly expiresAtSec: number | null;
}

export type NewItem = Omit<Item, 'version'>;

/** One guarded change. All changes of one `write` happen, or none does. */
export type Change =
  /** Fails when the item exists. */
  | { readonly kind: 'insert'; readonly item: NewItem }
  /** Fails unless the stored version is `ifVersion`; stores `ifVersion + 1`. */
  | { readonly kind: 'replace'; readonly item: NewItem; readonly ifVersion: number }
  /** Fails unless the stored version is `ifVersion`, or the item is absent when `ifVersion` is null. Writes nothing. */
  | { readonly kind: 'check'; readonly key: Key; readonly ifVersion: number | null }
  | { readonly kind: 'delete'; readonly key: Key; readonly ifVersion: number }
  /**
   * Adds each `delta` to the number attribute of `data` that it names (0 when absent; the item is made when absent, with
   * version 1). Fails as a whole when any new sum would exceed its `atMost`. Does not change the item's version.
   */
  | { readonly kind: 'add'; readonly key: Key; readonly adds: readonly Addition[] };

/** One counter of an `add`; 1 to 8 of them, each naming another attribute. */
export interface Addition {
  readonly attribute: string;
  readonly delta: number;
  /** Null adds without a limit. */
  readonly atMost: number | null;
}

/** `failed` names, by position in `changes`, each change whose guard did not hold, with the item found in its place. */
export type WriteResult =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly failed: readonly { readonly index: number; readonly found: Item | null }[];
    };

export type IndexName = keyof IndexKeys;

export type Query =
  /** All items of one partition, by sort key; strongly consistent. */
  | { readonly from: 'partition'; readonly pk: string; readonly prefix?: string }
  /** Items of a due partition up to and including a moment, oldest first. May lag behind writes. */
  | { readonly from: 'due'; readonly pk: string; readonly upTo: number }
  /** A timeline between two sort keys (both included). May lag behind writes. */
  | { readonly from: 'sim' | 'time'; readonly pk: string; readonly between?: readonly [string, string] };

export interface QueryOptions {
  /** At most this many items, 1 to 1000. */
  readonly limit: number;
  /** Where the last page ended; null starts at the beginning. */
  readonly cursor: string | null;
  /** Newest (highest sort key) first. */
  readonly descending?: boolean;
}

export interface Page {
  readonly items: readonly Item[];
  /** Null at the end. An empty page may still have a cursor. */
  readonly cursor: string | null;
}

/**
 * Throws StoreError: `unavailable` after the engine's own bounded retries of throttling, transaction conflicts and
 * lost connections (the write may or may not have happened, so callers re-read), `item-too-large` above 400 KB
 * (nothing was written), `corrupt-item` for a row that is not of this shape.
 */
export interface Table {
  /** Strongly consistent. */
  get(key: Key): Promise<Item | null>;
  /** Strongly consistent, in the order of `keys`; at most 100 keys. */
  getMany(keys: readonly Key[]): Promise<readonly (Item | null)[]>;
  /** 1 to 100 changes of different items. */
  write(changes: readonly Change[]): Promise<WriteResult>;
  query(query: Query, options: QueryOptions): Promise<Page>;
  close(): Promise<void>;
}

/** Items above this size are refused by DynamoDB. Source: DynamoDB developer guide, "Constraints", item size. */
export const itemBytesMax = 400 * 1024;

/** Changes in one write. Source: DynamoDB API reference, TransactWriteItems: up to 100 actions. */
export const changesMax = 100;
