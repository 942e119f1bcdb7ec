import type { DatabaseSync } from 'node:sqlite';
import { topology } from '../../infra/topology.ts';
import type { Clock } from '../../shared/platform/clock.ts';
import { openSqliteWorkQueue } from '../../shared/queue/sqlite-work-queue.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import { openSqliteTable, type SqliteTable } from '../../shared/store/sqlite-table.ts';

/** The real engines of one machine, in memory, with the connection that the judge looks through. */
export interface SeededEngines {
  readonly table: SqliteTable;
  readonly events: WorkQueue;
  readonly actions: ReadonlyMap<string, WorkQueue>;
  /** When the queue's next message can be seen; null when it is empty. */
  nextVisible(queue: string): number | null;
  /** When the sweep's next work is due; null when none is. */
  nextDue(): number | null;
  /** What still waits to be done, in words; null when nothing does. */
  leftOver(): string | null;
}

const deadLetter = (name: string): string => `${name}-dead`;

export function openSeededEngines(providers: readonly string[], now: Clock): SeededEngines {
  const table = openSqliteTable({ path: ':memory:', now });
  const open = (name: string, visibilityMs: number): WorkQueue =>
    openSqliteWorkQueue({
      source: table.database,
      name,
      settings: {
        visibilitySec: visibilityMs / 1_000,
        receivesMax: topology.queue.receivesMax,
        retentionSec: topology.queue.retention / 1_000,
      },
      now,
      deadLetter: deadLetter(name),
    });
  const events = open('events', topology.queue.eventsVisibility);
  const actions = new Map(
    providers.map((id) => [id, open(`actions-${id}`, topology.queue.actionsVisibility)] as const),
  );
  return { table, events, actions, ...looks(table.database) };
}

function looks(database: DatabaseSync): Pick<SeededEngines, 'nextVisible' | 'nextDue' | 'leftOver'> {
  const visible = database.prepare('SELECT MIN(visible_at) AS at FROM messages WHERE queue = ?');
  const isWork = "due_pk IS NOT NULL AND due_pk NOT LIKE 'WAITING%'";
  const due = database.prepare(`SELECT MIN(due_at) AS at FROM items WHERE ${isWork}`);
  const anyDue = database.prepare(`SELECT pk FROM items WHERE ${isWork} LIMIT 1`);
  const anyMessage = database.prepare(
    "SELECT queue, body FROM messages WHERE queue NOT LIKE '%-dead' LIMIT 1",
  );
  const at = (row: Record<string, unknown> | undefined): number | null =>
    typeof row?.at === 'number' ? row.at : null;
  return {
    nextVisible: (queue) => at(visible.get(queue)),
    nextDue: () => at(due.get()),
    leftOver: () => {
      const item = anyDue.get();
      if (item !== undefined) return `${String(item.pk)} is still due`;
      const message = anyMessage.get();
      return message === undefined ? null : `${String(message.queue)} still holds ${String(message.body)}`;
    },
  };
}
