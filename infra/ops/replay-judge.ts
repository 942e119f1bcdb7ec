import type { Action } from '../../shared/core/action.ts';
import {
  actionIdFor,
  type Decided,
  type DecideInput,
  decide,
  type PassReason,
} from '../../shared/core/decide.ts';
import type { Policy } from '../../shared/core/policy.ts';
import type { SimState } from '../../shared/core/sim-state.ts';
import type { EpochMs } from '../../shared/core/time.ts';
import { sha256Hex } from '../../shared/platform/digest.ts';
import { existingActions, findOwnAction, loadSim } from '../../shared/store/event-store.ts';
import type { EventRow } from '../../shared/store/rows.ts';
import type { Table } from '../../shared/store/table.ts';

/** What a replay makes of one event. */
export type ReplayVerdict =
  /** No rule speaks for it (or it is too old): nothing happens. */
  | { readonly kind: 'skipped'; readonly why: string }
  /** Its action exists already: it can't be made again. */
  | { readonly kind: 'already-decided'; readonly actionId: string }
  /** A rule speaks, but the SIM's state forbids it now. */
  | { readonly kind: 'blocked'; readonly why: PassReason }
  /** A new action is made; `first` when the event was never judged before. */
  | { readonly kind: 'acts'; readonly action: Action; readonly first: boolean };

/** Reasons that need nothing but the event and the rules to be known. */
const plainReasons: ReadonlySet<PassReason> = new Set(['no-match', 'disabled', 'too-old']);

/** Whether any rule could speak for an event, whatever its SIM's state is: decided without reading anything. */
export function couldAct(row: EventRow, policy: Policy, now: EpochMs): boolean {
  const { decision } = decide({
    event: row.event,
    policy,
    sim: null,
    ownActionId: null,
    now,
    digest: sha256Hex,
    generation: 1,
    existingActionIds: new Set(),
  });
  return decision.verdicts.some((verdict) => verdict.verdict === 'act' || !plainReasons.has(verdict.reason));
}

/** Sorts a decision of a replay. */
export function verdictOf(row: EventRow, decided: Decided): ReplayVerdict {
  const [action] = decided.actions;
  if (action !== undefined) return { kind: 'acts', action, first: row.state === 'recorded' };
  const passes = decided.decision.verdicts.filter((verdict) => verdict.verdict === 'pass');
  const done = passes.find(({ reason }) => reason === 'already-decided');
  if (done !== undefined) return { kind: 'already-decided', actionId: done.detail };
  const blocked = passes.find(({ reason }) => !plainReasons.has(reason));
  if (blocked !== undefined) return { kind: 'blocked', why: blocked.reason };
  const near = passes.find(({ reason }) => reason !== 'no-match');
  return { kind: 'skipped', why: near?.reason ?? 'no rule speaks for it' };
}

/** SIMs whose state a dry run remembers: those that it would act on. Beyond that the stored state counts. */
const simsMax = 200_000;

export interface DryRun {
  judge(row: EventRow): Promise<ReplayVerdict>;
}

/**
 * Judges events as a replay would, and writes nothing. It remembers the locks and cool-downs that its own actions
 * would set, so that two alerts of one SIM count as the one purchase that would come of them.
 */
export function startDryRun(table: Table, policy: Policy, now: EpochMs): DryRun {
  const sims = new Map<string, SimState>();
  return {
    judge: async (row) => {
      const { event } = row;
      if (event.subject === null || !couldAct(row, policy, now)) {
        return verdictOf(row, decide(inputFor(row, { policy, sim: null, now })));
      }
      const { key } = event.subject;
      const sim = sims.get(key) ?? (await loadSim(table, key)).value;
      const ids = policy.rules.map((rule) => actionIdFor(rule, { event, generation: 1, digest: sha256Hex }));
      const decided = decide({
        ...inputFor(row, { policy, sim, now }),
        ownActionId: await findOwnAction(table, event),
        existingActionIds: await existingActions(table, ids),
      });
      if (decided.sim !== null && sims.size < simsMax) sims.set(key, decided.sim);
      return verdictOf(row, decided);
    },
  };
}

function inputFor(
  row: EventRow,
  parts: { readonly policy: Policy; readonly sim: SimState | null; readonly now: EpochMs },
): DecideInput {
  return {
    event: row.event,
    ...parts,
    ownActionId: null,
    digest: sha256Hex,
    generation: 1,
    existingActionIds: new Set(),
  };
}
