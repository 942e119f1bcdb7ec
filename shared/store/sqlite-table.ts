import type { DatabaseSync, StatementResultingChanges, StatementSync } from 'node:sqlite';
import type { Clock } from '../platform/clock.ts';
import { explainSqliteError, inTransaction, openSqliteFile } from '../platform/sqlite-file.ts';
import {
  type Add,
  assertChanges,
  assertKey,
  assertKeys,
  assertQuery,
  holds,
  keyOf,
  sortKeyBytesMax,
  sumsAdded,
} from './change-rules.ts';
import { StoreError } from './errors.ts';
import { cursorAfter, decodeCursor } from './page-cursor.ts';
import { fromRow, type ItemRow, itemRowSchema, toRow } from './sqlite-item.ts';
import type { Change, Item, Key, Page, Query, QueryOptions, Table, WriteResult } from './table.ts';

export interface SqliteTableOptions {
  /** A file, made when absent, or `:memory:`. */
  readonly path: string;
  readonly now: Clock;
}

/** The table on one machine. Each call runs synchronously inside and is one await point for the caller. */
export interface SqliteTable extends Table {
  /** The connection, so that a work queue can live in the same file. */
  readonly database: DatabaseSync;
  /**
   * Deletes at most 1,000 items whose expiry lies before `nowSec` (the clock's time when left out) and returns how
   * many it deleted. DynamoDB does this by itself, sometimes days late.
   */
  purgeExpired(nowSec?: number): number;
}

/**
 * Rows lie in the order in which they came, and small index entries in the order of their random keys: with the rows
 * themselves in key order (WITHOUT ROWID) an insert takes half as long again, and ever longer as the table grows.
 */
const tableSql = `
  CREATE TABLE IF NOT EXISTS items (
    pk TEXT NOT NULL, sk TEXT NOT NULL, version INTEGER NOT NULL, data TEXT NOT NULL,
    due_pk TEXT, due_at REAL, sim_pk TEXT, sim_sk TEXT, time_pk TEXT, time_sk TEXT, expires_at INTEGER,
    PRIMARY KEY (pk, sk)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS items_due ON items (due_pk, due_at, pk, sk) WHERE due_pk IS NOT NULL;
  CREATE INDEX IF NOT EXISTS items_sim ON items (sim_pk, sim_sk, pk, sk) WHERE sim_pk IS NOT NULL;
  CREATE INDEX IF NOT EXISTS items_time ON items (time_pk, time_sk, pk, sk) WHERE time_pk IS NOT NULL;
  CREATE INDEX IF NOT EXISTS items_expiry ON items (expires_at) WHERE expires_at IS NOT NULL;
`;

const columns = itemRowSchema.keyof().options;
const purgeMax = 1000;
/** A page ends here, as DynamoDB's does. Source: DynamoDB API reference, Query: up to 1 MB of data. */
const pageBytesMax = 1024 * 1024;

interface Statements {
  readonly select: StatementSync;
  readonly version: StatementSync;
  readonly insert: StatementSync;
  readonly update: StatementSync;
  readonly remove: StatementSync;
  readonly purge: StatementSync;
  /** Made at their first use, one per kind and direction of query. */
  readonly queries: Map<string, StatementSync>;
}

/**
 * Opens the table. Throws StoreError `unavailable` when the file can't be opened, is locked or is damaged; the
 * text says which.
 */
export function openSqliteTable(options: SqliteTableOptions): SqliteTable {
  return guarded(() => {
    const database = openSqliteFile(options.path);
    try {
      database.exec(tableSql);
      return tableOn(database, prepare(database), options.now);
    } catch (error) {
      database.close();
      throw error;
    }
  });
}

function tableOn(database: DatabaseSync, statements: Statements, now: Clock): SqliteTable {
  return {
    database,
    get: async (key) => guarded(() => readItem(statements, key)),
    getMany: async (keys) =>
      guarded(() => {
        assertKeys(keys);
        return keys.map((key) => readItem(statements, key));
      }),
    write: async (changes) => guarded(() => writeChanges(database, statements, changes)),
    query: async (query, page) => guarded(() => readPage(database, statements, query, page)),
    purgeExpired: (nowSec = Math.floor(now() / 1000)) =>
      guarded(() => Number(statements.purge.run(nowSec, purgeMax).changes)),
    close: async () => {
      if (database.isOpen) database.close();
    },
  };
}

function prepare(database: DatabaseSync): Statements {
  // Values are bound by position, which is faster than by name; `bind` gives them in the order of `columns`.
  const values = columns.map((_, n) => `?${n + 1}`).join(', ');
  const settings = columns
    .filter((name) => name !== 'pk' && name !== 'sk')
    .map((name) => `${name} = ?${columns.indexOf(name) + 1}`)
    .join(', ');
  const ifVersion = columns.length + 1;
  return {
    select: database.prepare('SELECT * FROM items WHERE pk = ? AND sk = ?'),
    version: database.prepare('SELECT version FROM items WHERE pk = ? AND sk = ?'),
    insert: database.prepare(
      `INSERT INTO items (${columns.join(', ')}) VALUES (${values}) ON CONFLICT DO NOTHING`,
    ),
    update: database.prepare(
      `UPDATE items SET ${settings} WHERE pk = ?1 AND sk = ?2 AND version = ?${ifVersion}`,
    ),
    remove: database.prepare('DELETE FROM items WHERE pk = ? AND sk = ? AND version = ?'),
    purge: database.prepare(
      'DELETE FROM items WHERE (pk, sk) IN (SELECT pk, sk FROM items WHERE expires_at < ? LIMIT ?)',
    ),
    queries: new Map(),
  };
}

/** Turns what SQLite says about the file into the port's error; faults of the program pass through. */
function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    const explanation = explainSqliteError(error);
    if (explanation === null) throw error;
    throw new StoreError('unavailable', explanation, { cause: error });
  }
}

function readItem(statements: Statements, key: Key): Item | null {
  assertKey(key);
  const row = statements.select.get(key.pk, key.sk);
  return row === undefined ? null : fromRow(row, key);
}

/**
 * Each change carries its own guard, so a row is read only where its content counts. After the first guard that does
 * not hold nothing more is written, but the others are still judged, so that `failed` names all; then all is undone.
 */
function writeChanges(
  database: DatabaseSync,
  statements: Statements,
  changes: readonly Change[],
): WriteResult {
  assertChanges(changes);
  const [only, ...further] = changes;
  // One statement is a transaction by itself; an add takes two.
  if (only !== undefined && further.length === 0 && only.kind !== 'add') {
    return apply(statements, only)
      ? { ok: true }
      : refused([{ index: 0, found: readItem(statements, keyOf(only)) }]);
  }
  return inTransaction<WriteResult>(database, () => {
    const failed: { readonly index: number; readonly found: Item | null }[] = [];
    for (const [index, change] of changes.entries()) {
      if (failed.length === 0 && apply(statements, change)) continue;
      const found = readItem(statements, keyOf(change));
      if (failed.length === 0 || !holds(change, found)) failed.push({ index, found });
    }
    return failed.length === 0
      ? { commit: true, value: { ok: true } }
      : { commit: false, value: refused(failed) };
  });
}

function refused(failed: Extract<WriteResult, { ok: false }>['failed']): WriteResult {
  return { ok: false, failed };
}

/** Writes a change if its guard holds; false, and nothing written, when it does not. */
function apply(statements: Statements, change: Change): boolean {
  switch (change.kind) {
    case 'insert':
      return hasWritten(statements.insert.run(...valuesOf(toRow(change.item, 1))));
    case 'replace': {
      const values = valuesOf(toRow(change.item, change.ifVersion + 1));
      return hasWritten(statements.update.run(...values, change.ifVersion));
    }
    case 'check': {
      const found = statements.version.get(change.key.pk, change.key.sk);
      return (found?.version ?? null) === change.ifVersion;
    }
    case 'delete':
      return hasWritten(statements.remove.run(change.key.pk, change.key.sk, change.ifVersion));
    case 'add':
      return add(statements, change);
    default: {
      const never: never = change;
      throw new TypeError(`unknown change ${JSON.stringify(never)}`);
    }
  }
}

function add(statements: Statements, change: Add): boolean {
  const found = readItem(statements, change.key);
  if (!holds(change, found)) return false;
  const made = sumsAdded(change, found);
  return hasWritten(
    found === null
      ? statements.insert.run(...valuesOf(toRow(made, 1)))
      : statements.update.run(...valuesOf(toRow(made, found.version)), found.version),
  );
}

function hasWritten({ changes }: StatementResultingChanges): boolean {
  return Number(changes) === 1;
}

/** In the order of `columns`. */
function valuesOf(row: ItemRow): readonly (string | number | null)[] {
  return columns.map((name) => row[name]);
}

interface Range {
  readonly low: string | number;
  /** SQLite sorts every BLOB after every text, so an empty one is "no upper bound". */
  readonly high: string | number | Uint8Array;
}

/** After every text of the sort key's length. */
const lastText = '\u{10ffff}'.repeat(sortKeyBytesMax / 4);
const noUpperBound = new Uint8Array();

function rangeOf(query: Query): Range {
  switch (query.from) {
    case 'partition': {
      const prefix = query.prefix ?? '';
      return { low: prefix, high: prefix === '' ? noUpperBound : prefix + lastText };
    }
    case 'due':
      return { low: -Number.MAX_VALUE, high: query.upTo };
    case 'sim':
    case 'time':
      return { low: query.between?.[0] ?? '', high: query.between?.[1] ?? noUpperBound };
    default: {
      const never: never = query;
      throw new TypeError(`unknown query ${JSON.stringify(never)}`);
    }
  }
}

const queryColumns = {
  partition: { partition: 'pk', sort: 'sk' },
  due: { partition: 'due_pk', sort: 'due_at' },
  sim: { partition: 'sim_pk', sort: 'sim_sk' },
  time: { partition: 'time_pk', sort: 'time_sk' },
} as const;

function queryStatement(
  database: DatabaseSync,
  statements: Statements,
  query: Query,
  shape: { readonly descending: boolean; readonly continued: boolean },
): StatementSync {
  const { partition, sort } = queryColumns[query.from];
  const direction = shape.descending ? 'DESC' : 'ASC';
  // The row-value alone would be tested on every entry of the range; the bound is where the search begins.
  const low = shape.continued && !shape.descending ? 'max(:low, :indexSk)' : ':low';
  const high = shape.continued && shape.descending ? 'min(:high, :indexSk)' : ':high';
  const beyond = shape.continued
    ? `AND (${sort}, pk, sk) ${shape.descending ? '<' : '>'} (:indexSk, :pk, :sk)`
    : '';
  const sql = `SELECT * FROM items WHERE ${partition} = :indexPk AND ${sort} >= ${low} AND ${sort} <= ${high} ${beyond}
    ORDER BY ${sort} ${direction}, pk ${direction}, sk ${direction} LIMIT :limit`;
  const made = statements.queries.get(sql) ?? database.prepare(sql);
  statements.queries.set(sql, made);
  return made;
}

function readPage(database: DatabaseSync, statements: Statements, query: Query, options: QueryOptions): Page {
  assertQuery(query, options.limit);
  const descending = options.descending ?? false;
  const start = options.cursor === null ? null : decodeCursor(options.cursor, query);
  const statement = queryStatement(database, statements, query, { descending, continued: start !== null });
  const { low, high } = rangeOf(query);
  const beyond = start === null ? {} : { indexSk: start.indexSk, pk: start.pk, sk: start.sk };
  const items: Item[] = [];
  let bytes = 0;
  let full = false;
  for (const row of statement.iterate({ indexPk: query.pk, low, high, limit: options.limit, ...beyond })) {
    const item = fromRow(row, null);
    items.push(item);
    bytes += typeof row.data === 'string' ? row.data.length : 0;
    full = items.length === options.limit || bytes >= pageBytesMax;
    if (full) break;
  }
  return { items, cursor: full ? cursorAfter(items, query) : null };
}
