import { QueueError } from '../../shared/queue/errors.ts';
import type { WorkMessage, WorkQueue } from '../../shared/queue/work-queue.ts';
import { StoreError } from '../../shared/store/errors.ts';
import type { Change, Item, Key, Page, Query, Table } from '../../shared/store/table.ts';
import { type Sim, step, type Worker } from './worker.ts';

const keyOf = (change: Change): Key =>
  change.kind === 'insert' || change.kind === 'replace' ? change.item : change.key;
const textOf = (key: Key): string => `${key.pk} ${key.sk}`;

/** Told of each write that happened, at the moment at which it did. */
export type OnWritten = (changes: readonly Change[], worker: Worker) => void;

/** What the indexes still show of rows that were written a moment ago. */
export interface IndexMemory {
  readonly before: Map<string, { readonly at: number; readonly item: Item | null }>;
}

/** How far an index may lag. Source: design, section 7: index reads are late. */
const indexLagMs = 5_000;

/** The real table as one worker meets it: each call may be slow, refused, answered into the void, or its last. */
export function faultyTable(
  sim: Sim,
  worker: Worker,
  real: { readonly table: Table; readonly memory: IndexMemory; readonly onWritten: OnWritten },
): Table {
  const { table } = real;
  const { chance } = sim;
  const guarded = <T>(what: string, run: () => Promise<T>): Promise<T> =>
    step(sim, worker, { what, mayFreeze: true }, async () => {
      if (chance.strikes('store-throttled', 0.15)) throw new StoreError('unavailable', 'throttled');
      return run();
    });
  return {
    get: (key) => guarded(`get ${textOf(key)}`, () => table.get(key)),
    getMany: (keys) => guarded(`get ${keys.length} rows`, () => table.getMany(keys)),
    write: (changes) =>
      guarded(`write ${changes.map((c) => `${c.kind} ${textOf(keyOf(c))}`).join(', ')}`, async () => {
        if (chance.strikes('store-conflict', 0.15)) await overtake(sim, worker, table, changes);
        await remember(sim, real, changes);
        const result = await table.write(changes);
        if (result.ok) real.onWritten(changes, worker);
        else
          note(
            sim,
            worker,
            `  guard lost on ${result.failed.map(({ index }) => textOf(keyOf(changes[index] ?? noChange))).join(', ')}`,
          );
        if (chance.strikes('store-answer-lost', 0.15)) {
          note(sim, worker, '  the answer of the store is lost');
          throw new StoreError('unavailable', 'the answer was lost');
        }
        return result;
      }),
    query: (query, options) =>
      guarded(`query ${query.from} ${query.pk}`, async () =>
        late(sim, real.memory, query, await table.query(query, options)),
      ),
    close: () => table.close(),
  };
}

const noChange: Change = { kind: 'check', key: { pk: '-', sk: '-' }, ifVersion: null };

function note(sim: Sim, worker: Worker, text: string): void {
  sim.trace.note(sim.scheduler.now(), worker.name, text);
}

/** Another writer touches one of the rows first, as a sweep that puts work off would. */
async function overtake(sim: Sim, worker: Worker, table: Table, changes: readonly Change[]): Promise<void> {
  for (const change of changes) {
    if (change.kind !== 'replace' || sim.random.fraction() < 0.5) continue;
    const item = await table.get(change.item);
    if (item === null) continue;
    const { version, ...same } = item;
    await table.write([{ kind: 'replace', item: same, ifVersion: version }]);
    note(sim, worker, `  overtaken on ${textOf(item)}`);
    return;
  }
}

async function remember(
  sim: Sim,
  real: { readonly table: Table; readonly memory: IndexMemory },
  changes: readonly Change[],
): Promise<void> {
  for (const change of changes) {
    if (change.kind !== 'insert' && change.kind !== 'replace') continue;
    const item = change.kind === 'insert' ? null : await real.table.get(change.item);
    real.memory.before.set(textOf(change.item), { at: sim.scheduler.now(), item });
  }
}

/** An index that lags shows rows as they were before the last moment, and new rows not at all. */
function late(sim: Sim, memory: IndexMemory, query: Query, page: Page): Page {
  if (query.from === 'partition' || !sim.chance.strikes('index-late')) return page;
  const items = page.items.flatMap((item) => {
    const old = memory.before.get(textOf(item));
    if (old === undefined || sim.scheduler.now() - old.at > indexLagMs) return [item];
    return old.item === null ? [] : [old.item];
  });
  return { ...page, items };
}

/** The real queue as one worker meets it. */
export function faultyQueue(
  sim: Sim,
  worker: Worker,
  real: { readonly name: string; readonly queue: WorkQueue; readonly onSent: () => void },
): WorkQueue {
  const { name, queue } = real;
  const { chance } = sim;
  const guarded = <T>(what: string, run: () => Promise<T>): Promise<T> =>
    step(sim, worker, { what: `${what} ${name}`, mayFreeze: true }, async () => {
      if (chance.strikes('queue-refused', 0.15)) throw new QueueError('unavailable', 'refused');
      const value = await run();
      if (chance.strikes('queue-answer-lost', 0.15))
        throw new QueueError('unavailable', 'the answer was lost');
      return value;
    });
  return {
    send: (messages: readonly WorkMessage[]) =>
      guarded('send to', async () => {
        await queue.send(messages);
        if (chance.strikes('queue-duplicate', 0.3)) await queue.send(messages);
        real.onSent();
      }),
    receive: (max) => guarded('receive from', () => queue.receive(max)),
    acknowledge: (receipts) => guarded('acknowledge at', () => queue.acknowledge(receipts)),
    release: (receipts) => queue.release(receipts),
    depth: () => queue.depth(),
    close: () => queue.close(),
  };
}
