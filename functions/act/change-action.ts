import type { Action, ActionStateName } from '../../shared/core/action.ts';
import type { SettleInput, Transition } from '../../shared/core/lifecycle.ts';
import type { Rule } from '../../shared/core/policy.ts';
import { nextTry, purchaseRetry } from '../../shared/core/retry.ts';
import type { SimState } from '../../shared/core/sim-state.ts';
import { type DurationMs, type EpochMs, elapsed } from '../../shared/core/time.ts';
import { toMessage } from '../../shared/queue/work-item.ts';
import {
  loadAction,
  postpone,
  replaceAction,
  type TransitionResult,
  type TransitionWrite,
  writeTransition,
} from '../../shared/store/action-store.ts';
import { loadSim, type Versioned } from '../../shared/store/event-store.ts';
import type { ActionRow } from '../../shared/store/rows.ts';
import type { ActDeps } from './act-deps.ts';
import { actFigures } from './metrics.ts';

/** Races lost to other writers before the message is left to come again. */
export const racesMax = 8;

/** A worker that waits less than this for a slot is told to come back after this, since queues count in seconds. */
const hintDelaySecMax = 900;

type OwnedResult = { readonly kind: 'written' | 'overtaken' | 'order-taken' };

/** An action and its SIM as this worker wrote them a moment ago; the version guards tell when they have changed since. */
export interface WrittenRow extends Versioned<ActionRow> {
  readonly sim: Versioned<SimState>;
}

/**
 * Applies a change as long as the action is still ours: same fence, same state. Lost races are read again; the first
 * try takes what is known, where something is.
 */
export async function changeOwned(
  actionId: string,
  fence: number,
  states: readonly ActionStateName[],
  deps: ActDeps,
  next: (input: SettleInput) => Transition,
  known: WrittenRow | null = null,
): Promise<OwnedResult> {
  for (let race = 0; race < racesMax; race++) {
    const written = race === 0 ? known : null;
    const row = written ?? (await loadAction(deps.table, actionId));
    if (row === null || row.value.action.fence !== fence || !states.includes(row.value.action.state.name)) {
      return { kind: 'overtaken' };
    }
    const result = await writeNext(row, deps, next, written?.sim);
    if (result.kind === 'written' || result.kind === 'order-taken') return { kind: result.kind };
  }
  throw new Error(
    `${actionId} changed ${racesMax} times while it was settled; its lease will run out and it is verified`,
  );
}

/** Applies a change once; a lost race is left to whoever won it. */
export async function change(
  row: Versioned<ActionRow>,
  deps: ActDeps,
  next: (input: SettleInput) => Transition,
): Promise<void> {
  await writeNext(row, deps, next);
}

export async function writeNext(
  row: Versioned<ActionRow>,
  deps: ActDeps,
  next: (input: SettleInput) => Transition,
  knownSim?: Versioned<SimState>,
): Promise<TransitionResult> {
  const { action } = row.value;
  const sim = knownSim ?? (await loadSim(deps.table, action.subject.key));
  const now = deps.clock();
  const transition = next({
    action,
    sim: sim.value,
    rule: ruleOf(action, deps),
    now,
    jitter: deps.random.fraction(),
  });
  const write: TransitionWrite = { row, sim, transition, caps: null };
  const result = await writeTransition(deps.table, write);
  if (result.kind === 'written') await tell(transition.action, deps);
  return result;
}

export async function replaceAndTell(
  row: Versioned<ActionRow>,
  action: Action,
  deps: ActDeps,
): Promise<void> {
  if ((await replaceAction(deps.table, row, action)) === 'written') await tell(action, deps);
}

/** Gives an action a due time; the message that brought us here is done. */
export async function waitUntil(
  row: Versioned<ActionRow>,
  until: EpochMs,
  why: string,
  deps: ActDeps,
): Promise<void> {
  const { action } = row.value;
  const next = postpone(action, until, deps.clock());
  if ((await replaceAction(deps.table, row, next)) === 'conflict') return;
  deps.log('info', 'action waits', {
    actionId: action.actionId,
    correlationId: action.correlationId,
    until,
    why,
  });
  await hint(next, until, deps);
}

async function tell(action: Action, deps: ActDeps): Promise<void> {
  const { state } = action;
  const fields = {
    actionId: action.actionId,
    eventId: action.eventId,
    correlationId: action.correlationId,
    provider: action.subject.provider,
    ruleId: action.ruleId,
    attempts: action.attempts,
    providerOrderId: state.name === 'succeeded' ? state.providerOrderId : null,
    reason: 'reason' in state ? state.reason : 'code' in state ? state.code : null,
  };
  const level = state.name === 'parked' ? 'warn' : 'info';
  deps.log(level, `action ${state.name}`, fields, (at) => actFigures(action, at));
  deps.notice?.(action, state.name);
  if (state.name === 'planned') await hint(action, state.dueAt, deps);
  if (state.name === 'unknown') await hint(action, state.verifyAt, deps);
}

/**
 * A delayed message for work that is due within a quarter of an hour; the due index holds the truth, so a hint that
 * is lost costs a minute and a quarter at most (D1).
 */
export async function hint(action: Action, at: EpochMs, deps: ActDeps): Promise<void> {
  const delaySec = Math.max(0, Math.ceil((at - deps.clock()) / 1_000));
  if (delaySec > hintDelaySecMax) return;
  const { actionId, correlationId, subject } = action;
  try {
    await deps.actions.send([
      toMessage({ kind: 'action', id: actionId, correlationId }, subject.key, delaySec),
    ]);
  } catch (error) {
    deps.log('warn', 'hint not sent, the sweep will', { actionId, correlationId, error: String(error) });
  }
}

/** When a question that got no answer is asked again. */
export function again(action: Action, retryAfter: DurationMs | null, now: EpochMs, deps: ActDeps): EpochMs {
  const tries = Math.floor(Math.log2(1 + elapsed(action.createdAt, now) / purchaseRetry.base));
  return nextTry(purchaseRetry, { now, tries, retryAfter, jitter: deps.random.fraction() });
}

export function ruleOf(action: Action, deps: ActDeps): Rule | null {
  return deps.policy.rules.find((rule) => rule.ruleId === action.ruleId) ?? null;
}
