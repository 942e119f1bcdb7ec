import { setImmediate as nextTurn } from 'node:timers/promises';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import type { Table } from '../../shared/store/table.ts';

/**
 * The embedded engines answer without leaving the present turn of the event loop, so a long reading would never let
 * Ctrl-C be heard. These let one turn pass before each page and each batch.
 */
export function interruptibleTable(table: Table): Table {
  return {
    ...table,
    query: async (query, options) => {
      await nextTurn();
      return table.query(query, options);
    },
  };
}

/** See `interruptibleTable`. */
export function interruptibleQueue(queue: WorkQueue): WorkQueue {
  return {
    ...queue,
    receive: async (max) => {
      await nextTurn();
      return queue.receive(max);
    },
  };
}
