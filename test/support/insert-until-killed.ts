/** A process of its own that inserts items and prints the number of each that was acknowledged, until it is killed. */
import { epochMs } from '../../shared/core/time.ts';
import { openSqliteTable } from '../../shared/store/sqlite-table.ts';

const insertsMax = 100_000;
const table = openSqliteTable({ path: process.argv[2] ?? '', now: () => epochMs(0) });
for (let n = 1; n <= insertsMax; n++) {
  const item = { pk: 'kept', sk: String(n), data: { n }, indexes: {}, expiresAtSec: null };
  await table.write([{ kind: 'insert', item }]);
  process.stdout.write(`${n}\n`);
}
