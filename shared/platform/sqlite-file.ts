import { DatabaseSync, type StatementSync } from 'node:sqlite';

/** How long a statement waits for another process that holds the file's write lock. */
export const sqliteBusyMs = 5_000;

/**
 * Bytes of a page in a new file; a file keeps the size that it was made with. Rows of 1 to 2 KB fill pages of SQLite's
 * 4 KiB badly: 100,000 events take 557 MB in those and twice as long to read; with 16 KiB 236 MB, and larger ones gain
 * nothing.
 */
const pageBytes = 16 * 1024;

/** Tries to switch a new file to its journal mode, while another process may be doing the same. */
const openAttemptsMax = 20;
const openPauseMs = 50;

/** SQLite's primary result codes that a healthy program can meet. Source: sqlite.org, "Result and Error Codes". */
const resultCode = {
  busy: 5,
  locked: 6,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  notADatabase: 26,
} as const;

/**
 * Opens (or makes) a database that several processes may share. A file uses the write-ahead log and syncs each
 * commit to the disk (`synchronous=FULL`), so that what was acknowledged survives a `kill -9` and a power cut.
 *
 * Throws SQLite's own error, which `explainSqliteError` reads.
 *
 * Source: sqlite.org, "Write-Ahead Logging" and "PRAGMA synchronous".
 */
export function openSqliteFile(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: sqliteBusyMs });
  try {
    // Before anything else: the first write makes the file. Source: sqlite.org, "PRAGMA page_size".
    database.exec(`PRAGMA page_size = ${pageBytes}`);
    if (path !== ':memory:') useWriteAheadLog(database);
    database.exec('PRAGMA synchronous = FULL');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** The switch to the write-ahead log needs the file alone and does not always wait for the busy time-out. */
function useWriteAheadLog(database: DatabaseSync): void {
  for (let attempt = 1; ; attempt++) {
    try {
      database.exec('PRAGMA journal_mode = WAL');
      return;
    } catch (error) {
      if (attempt >= openAttemptsMax || resultCodeOf(error) !== resultCode.busy) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, openPauseMs);
    }
  }
}

/**
 * Runs `work` in one transaction that takes the write lock at once, so that what it reads can't change before it
 * writes. Commits when `work` returns `commit: true`; undoes everything otherwise, and when it throws.
 */
export function inTransaction<T>(
  database: DatabaseSync,
  work: () => { readonly commit: boolean; readonly value: T },
): T {
  const { begin, end, undo } = statementsOf(database);
  begin.run();
  try {
    const { commit, value } = work();
    (commit ? end : undo).run();
    return value;
  } catch (error) {
    // A full disk may already have ended the transaction.
    if (database.isTransaction) undo.run();
    throw error;
  }
}

interface TransactionStatements {
  readonly begin: StatementSync;
  readonly end: StatementSync;
  readonly undo: StatementSync;
}

/** Made once a connection, since each write needs two of them. */
const transactionStatements = new WeakMap<DatabaseSync, TransactionStatements>();

function statementsOf(database: DatabaseSync): TransactionStatements {
  const known = transactionStatements.get(database);
  if (known !== undefined) return known;
  const made = {
    begin: database.prepare('BEGIN IMMEDIATE'),
    end: database.prepare('COMMIT'),
    undo: database.prepare('ROLLBACK'),
  };
  transactionStatements.set(database, made);
  return made;
}

/**
 * What the operator can do about an error of SQLite: a sentence for a locked, full, read-only or damaged file; null
 * for every other error, which is a fault of the program.
 */
export function explainSqliteError(error: unknown): string | null {
  switch (resultCodeOf(error)) {
    case resultCode.busy:
    case resultCode.locked:
      return `the database file stayed locked by another process for ${sqliteBusyMs} ms; stop the process that holds it, or try again`;
    case resultCode.full:
      return 'the disk that holds the database file is full; free some space and try again';
    case resultCode.readOnly:
      return 'the database file cannot be written; check the permissions of the file and its folder';
    case resultCode.ioError:
      return 'the disk failed while the database file was read or written; check the disk';
    case resultCode.cannotOpen:
      return 'the database file cannot be opened; check that its folder exists and may be written';
    case resultCode.corrupt:
    case resultCode.notADatabase:
      return 'the database file is damaged or is not a SQLite database; restore it from a copy';
    default:
      return null;
  }
}

/** The primary code: the low byte of SQLite's extended code. Null when the error isn't SQLite's. */
function resultCodeOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return null;
  return error.errcode & 0xff;
}
