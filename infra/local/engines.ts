import type { Clock } from '../../shared/platform/clock.ts';
import { openSqliteWorkQueue } from '../../shared/queue/sqlite-work-queue.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import { openSqliteTable } from '../../shared/store/sqlite-table.ts';
import type { Table } from '../../shared/store/table.ts';
import { topology } from '../topology.ts';

/** The table and the queues that a local system stands on. */
export interface Engines {
  readonly table: Table;
  readonly events: WorkQueue;
  readonly actions: ReadonlyMap<string, WorkQueue>;
  /** Dead-letter queues by the name of their queue. */
  readonly deadLetters: ReadonlyMap<string, WorkQueue>;
  /** Housekeeping that DynamoDB does by itself; called now and then. */
  purge(): void;
  close(): Promise<void>;
}

/** The embedded engines in one SQLite file, or in memory with `:memory:`. */
export function openEmbeddedEngines(path: string, providers: readonly string[], now: Clock): Engines {
  const table = openSqliteTable({ path, now });
  const open = (name: string, visibilitySec: number): [WorkQueue, WorkQueue] => {
    const settings = {
      visibilitySec,
      receivesMax: topology.queue.receivesMax,
      retentionSec: topology.queue.retention / 1000,
    };
    const letters = { ...settings, retentionSec: topology.queue.deadLetterRetention / 1000 };
    return [
      openSqliteWorkQueue({ source: table.database, name, settings, now, deadLetter: `${name}-dead` }),
      openSqliteWorkQueue({
        source: table.database,
        name: `${name}-dead`,
        settings: letters,
        now,
        deadLetter: null,
      }),
    ];
  };
  const [events, deadEvents] = open('events', topology.queue.eventsVisibility / 1000);
  const actions = new Map<string, WorkQueue>();
  const deadLetters = new Map<string, WorkQueue>([['events', deadEvents]]);
  for (const provider of providers) {
    const [queue, dead] = open(`actions-${provider}`, topology.queue.actionsVisibility / 1000);
    actions.set(provider, queue);
    deadLetters.set(`actions-${provider}`, dead);
  }
  return {
    table,
    events,
    actions,
    deadLetters,
    purge: () => table.purgeExpired(),
    close: () => table.close(),
  };
}
