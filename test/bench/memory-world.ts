import type { ReceiveDeps } from '../../functions/receive/receive.ts';
import { silentLog } from '../../shared/platform/log.ts';
import { callbackSides } from '../../shared/providers/registry.ts';
import type { WorkMessage, WorkQueue } from '../../shared/queue/work-queue.ts';
import { assertChanges, keyOf, keyText } from '../../shared/store/change-rules.ts';
import type { Item, Table } from '../../shared/store/table.ts';
import { simulatorSecrets, stageAt } from './local-world.ts';

/** A table in a Map that knows inserts only, so that a bench of receive measures receive and not a store. */
export function mapTable(): { readonly table: Table; clear(): void } {
  const items = new Map<string, Item>();
  const unused = async (): Promise<never> => {
    throw new Error('receive only inserts');
  };
  const table: Table = {
    get: unused,
    getMany: unused,
    query: unused,
    close: async () => undefined,
    write: async (changes) => {
      assertChanges(changes);
      const failed = changes.flatMap((change, index) => {
        const found = items.get(keyText(keyOf(change)));
        return found === undefined ? [] : [{ index, found }];
      });
      if (failed.length > 0) return { ok: false, failed };
      for (const change of changes) {
        if (change.kind === 'insert') items.set(keyText(change.item), { ...change.item, version: 1 });
      }
      return { ok: true };
    },
  };
  return { table, clear: () => items.clear() };
}

/** A queue that remembers its latest messages only. */
export function countingQueue(): WorkQueue & { readonly sent: () => number } {
  let sent = 0;
  let latest: readonly WorkMessage[] = [];
  return {
    send: async (messages) => {
      latest = messages;
      sent += latest.length;
    },
    receive: async () => [],
    acknowledge: async () => undefined,
    release: async () => undefined,
    depth: async () => ({ visible: 0, inFlight: 0 }),
    close: async () => undefined,
    sent: () => sent,
  };
}

/** What receive stands on in a bench. */
export function receiveDeps(table: Table, events: WorkQueue): ReceiveDeps {
  return {
    table,
    events,
    sides: callbackSides,
    providers: stageAt('http://127.0.0.1:1').providers,
    secrets: simulatorSecrets,
    log: silentLog,
    quarantine: null,
  };
}
