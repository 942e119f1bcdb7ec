import type { ReceiveDeps } from '../../functions/receive/receive.ts';
import { silentLog } from '../../shared/platform/log.ts';
import { callbackSides } from '../../shared/providers/registry.ts';
import type { WorkMessage, WorkQueue } from '../../shared/queue/work-queue.ts';
import { assertChanges, keyOf, keyText } from '../../shared/store/change-rules.ts';
import type { Table } from '../../shared/store/table.ts';
import { simulatorSecrets, stageAt } from './local-world.ts';

/**
 * A table that knows inserts only and remembers keys only, so that a bench of receive measures receive: a real store
 * writes the item out and lets go of it, too.
 */
export function keyTable(): { readonly table: Table; clear(): void } {
  const keys = new Set<string>();
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
      const texts = changes.map((change) => keyText(keyOf(change)));
      const failed = texts.flatMap((text, index) => (keys.has(text) ? [{ index, found: null }] : []));
      if (failed.length > 0) return { ok: false, failed };
      for (const text of texts) keys.add(text);
      return { ok: true };
    },
  };
  return { table, clear: () => keys.clear() };
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
  const { providers, policy } = stageAt('http://127.0.0.1:1');
  return {
    table,
    events,
    sides: callbackSides,
    providers,
    policy,
    secrets: simulatorSecrets,
    log: silentLog,
    quarantine: null,
  };
}
