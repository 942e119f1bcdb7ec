import type { SQLInputValue } from 'node:sqlite';
import { epochMs } from '../../shared/core/time.ts';
import { keyOf } from '../../shared/store/change-rules.ts';
import { itemRowSchema, toRow } from '../../shared/store/sqlite-item.ts';
import { openSqliteTable } from '../../shared/store/sqlite-table.ts';
import type { Change, Key, NewItem, Table } from '../../shared/store/table.ts';

/** What a run asked of the table: the floor below any program that asks the same. */
export interface Recording {
  readonly wrap: (table: Table) => Table;
  /** Plays the same reads and writes with bare statements, on rows that are printed already. */
  replay(): void;
}

type Step = readonly { readonly kind: 'read' | 'write'; readonly values: readonly SQLInputValue[] }[];

const columns = itemRowSchema.keyof().options;

export function recordTable(): Recording {
  const steps: Step[] = [];
  const read = (key: Key): Step[number] => ({ kind: 'read', values: [key.pk, key.sk] });
  const wrap = (table: Table): Table => ({
    ...table,
    get: async (key) => {
      steps.push([read(key)]);
      return table.get(key);
    },
    write: async (changes) => {
      const result = await table.write(changes);
      const after = await Promise.all(changes.map((change) => table.get(keyOf(change))));
      if (result.ok) steps.push(changes.flatMap((change, i) => writesOf(change, after[i] ?? null, read)));
      return result;
    },
  });
  return { wrap, replay: () => play(steps) };
}

/** A counter is read before it is written; everything else is one statement with its guard. */
function writesOf(change: Change, after: NewItem | null, read: (key: Key) => Step[number]): Step {
  if (after === null || change.kind === 'check' || change.kind === 'delete') return [read(keyOf(change))];
  const row = toRow(after, 1);
  const write = { kind: 'write', values: columns.map((name) => row[name]) } as const;
  return change.kind === 'add' ? [read(change.key), write] : [write];
}

function play(steps: readonly Step[]): void {
  const { database } = openSqliteTable({ path: ':memory:', now: () => epochMs(0) });
  const select = database.prepare('SELECT * FROM items WHERE pk = ? AND sk = ?');
  const settings = columns.map((name, i) => `${name} = ?${i + 1}`).join(', ');
  const update = database.prepare(`UPDATE items SET ${settings} WHERE pk = ?1 AND sk = ?2`);
  const insert = database.prepare(`INSERT INTO items VALUES (${columns.map(() => '?').join(', ')})`);
  const begin = database.prepare('BEGIN IMMEDIATE');
  const commit = database.prepare('COMMIT');
  for (const step of steps) {
    const isTransaction = step.length > 1;
    if (isTransaction) begin.run();
    for (const { kind, values } of step) {
      if (kind === 'read') select.get(...values);
      else if (update.run(...values).changes === 0) insert.run(...values);
    }
    if (isTransaction) commit.run();
  }
  database.close();
}
