import {
  after,
  before,
  type DurationMs,
  type EpochMs,
  milliseconds,
  minutes,
  seconds,
} from '../../shared/core/time.ts';
import type { Log } from '../../shared/platform/log.ts';
import { toMessage } from '../../shared/queue/work-item.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import {
  type DueWork,
  findDueActions,
  findDueEvents,
  type OnUnreadable,
  putOffSweep,
} from '../../shared/store/due-work.ts';
import type { Table } from '../../shared/store/table.ts';

/** Events queued again in one run: more than a burst leaves behind in a minute, few enough for one invocation. */
const eventsMax = 1_000;

/** Actions queued again in one run and provider: what a provider at 10 requests a second can take in a minute. */
const actionsMax = 600;

/**
 * How long an action's own message has before the sweep looks after it. In the moment at which both come due, the sweep's
 * note that it was here would cost the worker its write, and the action two minutes.
 */
const hintGrace = seconds(15);

/** How long queued work has before the sweep looks at it again: doubled each time, up to the second figure. */
const putOffFirst = minutes(2);
const putOffLast = minutes(30);

export interface SweepDeps {
  readonly table: Table;
  readonly events: WorkQueue;
  /** Actions queue of each provider that the stage has, or that still has open actions. */
  readonly actions: ReadonlyMap<string, WorkQueue>;
  readonly log: Log;
}

export interface SweepResult {
  readonly events: number;
  readonly actions: number;
  /** Age of the oldest unfinished work that was due, in ms; 0 when none was. */
  readonly oldestMs: number;
}

/**
 * Queues again what is due and not finished: events whose hint was lost, actions whose time has come or whose worker
 * died. Every unfinished thing stands in the due index, so no message is ever the only trace of it. Throws at its end
 * when a part failed: one provider's broken queue must not keep the others' work waiting.
 */
export async function sweep(now: EpochMs, deps: SweepDeps): Promise<SweepResult> {
  const onUnreadable: OnUnreadable = (error, { pk, sk }) =>
    deps.log('error', 'due row not readable, its work stands still', {
      key: `${pk} ${sk}`,
      error: error.message,
    });
  const failures: unknown[] = [];
  const again = async (
    queue: WorkQueue,
    find: () => Promise<readonly DueWork[]>,
  ): Promise<readonly DueWork[]> => {
    try {
      const due = await find();
      await queueAgain(due, queue, now, deps);
      return due;
    } catch (error) {
      deps.log('error', 'part of a sweep failed, the next one tries again', { error: String(error) });
      failures.push(error);
      return [];
    }
  };
  const events = await again(deps.events, () => findDueEvents(deps.table, now, eventsMax, onUnreadable));
  const due = before(now, hintGrace);
  let actions = 0;
  let oldest = oldestOf(events, now);
  for (const [provider, queue] of deps.actions) {
    const found = await again(queue, () =>
      findDueActions(deps.table, provider, due, actionsMax, onUnreadable),
    );
    actions += found.length;
    oldest = Math.max(oldest, oldestOf(found, now));
  }
  const result = { events: events.length, actions, oldestMs: oldest };
  deps.log('info', 'swept', { ...result, failures: failures.length });
  if (failures.length > 0) throw new AggregateError(failures, 'a part of the sweep failed');
  return result;
}

/** The message goes first: when it can't be sent, the work stays due and the next run finds it. */
async function queueAgain(
  works: readonly DueWork[],
  queue: WorkQueue,
  now: EpochMs,
  deps: SweepDeps,
): Promise<void> {
  for (let i = 0; i < works.length; i += 10) {
    const chunk = works.slice(i, i + 10);
    await queue.send(
      chunk.map(({ kind, id, correlationId, group }) => toMessage({ kind, id, correlationId }, group)),
    );
    await Promise.all(chunk.map((work) => putOffSweep(deps.table, work, after(now, putOff(work.sweeps)))));
  }
}

function putOff(sweeps: number): DurationMs {
  return milliseconds(Math.min(putOffLast, putOffFirst * 2 ** Math.min(sweeps, 12)));
}

function oldestOf(works: readonly DueWork[], now: EpochMs): number {
  return works.reduce((oldest, work) => Math.max(oldest, now - work.dueAt), 0);
}
