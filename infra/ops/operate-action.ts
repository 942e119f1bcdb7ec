import type { Action } from '../../shared/core/action.ts';
import { actionIdFor } from '../../shared/core/decide.ts';
import type { SettleInput } from '../../shared/core/lifecycle.ts';
import { buyAgain, type OperatorVerdict } from '../../shared/core/operator.ts';
import type { EpochMs } from '../../shared/core/time.ts';
import { sha256Hex } from '../../shared/platform/digest.ts';
import { toMessage } from '../../shared/queue/work-item.ts';
import { loadAction, writeFurtherPurchase, writeTransition } from '../../shared/store/action-store.ts';
import { loadSim, type Versioned } from '../../shared/store/event-store.ts';
import type { ActionRow } from '../../shared/store/rows.ts';
import type { Connection } from './connect.ts';
import { conflict, notFound } from './failure.ts';

/** Races with workers for the SIM's row before the operator is told to try again. */
const racesMax = 8;

/** What an operator wants of one action. */
export interface Wish {
  readonly actionId: string;
  /** In a note's words: `approved`, `cancelled`. */
  readonly did: string;
  readonly by: string;
  readonly reason: string;
  readonly judge: (input: SettleInput) => OperatorVerdict;
}

/** Loads an action; throws OpsError `not-found`. */
export async function needAction(connection: Connection, actionId: string): Promise<Versioned<ActionRow>> {
  const row = await loadAction(connection.table, actionId);
  if (row !== null) return row;
  throw notFound(`there is no action ${actionId}; npx simhook actions lists them`);
}

/**
 * Carries out a wish: judged by the core, written under the version guards with a note of who, when and why. Throws
 * OpsError `conflict` when it is refused, or when the action changed since the operator's command looked at it.
 */
export async function operate(connection: Connection, wish: Wish, now: EpochMs): Promise<Action> {
  const seen = await needAction(connection, wish.actionId);
  for (let race = 0, row = seen; race < racesMax; race++, row = await needAction(connection, wish.actionId)) {
    assertUnchanged(seen.value.action, row.value.action);
    const { action } = row.value;
    const sim = await loadSim(connection.table, action.subject.key);
    const rule = connection.stage.policy.rules.find(({ ruleId }) => ruleId === action.ruleId) ?? null;
    const verdict = wish.judge({ action, sim: sim.value, rule, now, jitter: 0 });
    if (!verdict.ok) throw conflict(`${wish.actionId} can't be ${wish.did}: ${verdict.detail}`);
    const { transition } = verdict;
    const note = { at: now, by: wish.by, did: wish.did, reason: wish.reason };
    const result = await writeTransition(connection.table, { row, sim, transition, caps: null, note });
    switch (result.kind) {
      case 'written':
        await hint(connection, transition.action);
        return transition.action;
      case 'order-taken':
        throw conflict(
          `${wish.actionId} can't be ${wish.did}: this order belongs to another action already; check the order number`,
        );
      case 'conflict':
      case 'cap-exceeded':
        break;
      default: {
        const never: never = result;
        throw new Error(`unknown result: ${JSON.stringify(never)}`);
      }
    }
  }
  throw conflict(`${wish.actionId} was changed by others ${racesMax} times meanwhile: look again and repeat`);
}

/**
 * Carries out a deliberate further purchase of an action that is over, noted on both. Throws OpsError `conflict` when
 * it is refused, or when it was bought again already.
 */
export async function orderAgain(
  connection: Connection,
  wish: Pick<Wish, 'actionId' | 'by' | 'reason'>,
  now: EpochMs,
): Promise<Action> {
  const { table, stage } = connection;
  for (let race = 0; race < racesMax; race++) {
    const before = await needAction(connection, wish.actionId);
    await assertNotAgain(connection, before.value.action);
    const sim = await loadSim(table, before.value.action.subject.key);
    const verdict = buyAgain({
      action: before.value.action,
      sim: sim.value,
      policy: stage.policy,
      now,
      digest: sha256Hex,
    });
    if (!verdict.ok) throw conflict(`${wish.actionId} can't be bought again: ${verdict.detail}`);
    const { action } = verdict;
    const signed = { at: now, by: wish.by, reason: wish.reason };
    const written = await writeFurtherPurchase(table, {
      before,
      noteBefore: { ...signed, did: `bought again as ${action.actionId}` },
      action,
      note: { ...signed, did: `bought again after ${wish.actionId}` },
      sim,
      simLocked: verdict.sim,
    });
    if (written === 'conflict') continue;
    await hint(connection, action);
    return action;
  }
  throw conflict(`the SIM of ${wish.actionId} was busy ${racesMax} times: look again and repeat`);
}

/** A repeated command finds what it made the first time, whatever became of that. */
async function assertNotAgain({ table }: Connection, action: Action): Promise<void> {
  const { eventId, generation } = action;
  const next = actionIdFor(action, { event: { eventId }, generation: generation + 1, digest: sha256Hex });
  const row = await loadAction(table, next);
  if (row === null) return;
  const { state } = row.value.action;
  const over = state.name === 'succeeded' || state.name === 'refused' || state.name === 'cancelled';
  throw conflict(
    `${action.actionId} was bought again already: ${next}, which is ${state.name}${over ? '; to buy once more, name that one' : ''}`,
  );
}

/** Another operator or a worker was first: what this operator saw is no longer so. */
function assertUnchanged(seen: Action, found: Action): void {
  if (
    seen.fence === found.fence &&
    seen.state.name === found.state.name &&
    seen.stateSince === found.stateSince
  )
    return;
  throw conflict(
    `${seen.actionId} was changed by someone else just now, it is ${found.state.name}: look again`,
  );
}

/** Wakes the worker; when that fails, the sweep finds the action within a minute. */
async function hint(connection: Connection, action: Action): Promise<void> {
  if (action.state.name !== 'planned') return;
  const { actionId, correlationId, subject } = action;
  const message = toMessage({ kind: 'action', id: actionId, correlationId }, subject.key);
  await connection.queues
    .get(`actions-${subject.provider}`)
    ?.send([message])
    .catch(() => undefined);
}
