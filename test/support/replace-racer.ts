/**
 * A process of its own that races for one item: `node replace-racer.ts <file> <name> <rounds>`. Each round it waits
 * for a line on standard input, replaces the version that the line names, and prints `won` or `lost`.
 */
import { createInterface } from 'node:readline';
import { epochMs } from '../../shared/core/time.ts';
import { openSqliteTable } from '../../shared/store/sqlite-table.ts';

const [path = '', name = ''] = process.argv.slice(2);
const table = openSqliteTable({ path, now: () => epochMs(0) });
process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  const item = { pk: 'race', sk: 'a', data: { by: name }, indexes: {}, expiresAtSec: null };
  const result = await table.write([{ kind: 'replace', item, ifVersion: Number(line) }]);
  process.stdout.write(result.ok ? 'won\n' : 'lost\n');
}
await table.close();
