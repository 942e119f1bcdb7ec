import type { Engines } from '../../infra/local/engines.ts';
import { topology } from '../../infra/topology.ts';
import type { Clock } from '../../shared/platform/clock.ts';
import { type ItemsKept, memoryTable } from './memory-table.ts';
import { type MemoryWorkQueue, memoryWorkQueue } from './memory-work-queue.ts';

/** A local system's table and queues without a database, with the same numbers. Nothing expires: expiry is a hint. */
export function openMemoryEngines(
  providers: readonly string[],
  now: Clock,
  itemsKept: ItemsKept = 'copied',
): Engines {
  const table = memoryTable(itemsKept);
  const { receivesMax, retention, deadLetterRetention, eventsVisibility, actionsVisibility } = topology.queue;
  const deadLetters = new Map<string, MemoryWorkQueue>();
  const open = (name: string, visibilityMs: number): MemoryWorkQueue => {
    const settings = {
      visibilitySec: visibilityMs / 1_000,
      receivesMax,
      retentionSec: retention / 1_000,
    };
    const letters = { ...settings, retentionSec: deadLetterRetention / 1_000 };
    const deadLetter = memoryWorkQueue({ name: `${name}-dead`, settings: letters, now, deadLetter: null });
    deadLetters.set(name, deadLetter);
    return memoryWorkQueue({ name, settings, now, deadLetter });
  };
  return {
    table,
    events: open('events', eventsVisibility),
    actions: new Map(providers.map((id) => [id, open(`actions-${id}`, actionsVisibility)] as const)),
    deadLetters,
    purge: () => undefined,
    close: () => table.close(),
  };
}
