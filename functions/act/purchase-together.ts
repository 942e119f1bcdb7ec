import type { Action } from '../../shared/core/action.ts';
import { joinPool, poolInLine } from '../../shared/core/coalesce.ts';
import { inState } from '../../shared/core/lifecycle.ts';
import { after, type EpochMs, elapsed, milliseconds, seconds } from '../../shared/core/time.ts';
import { sha256Hex } from '../../shared/platform/digest.ts';
import { loadAction } from '../../shared/store/action-store.ts';
import { loadPool, type PoolPlace, writePool } from '../../shared/store/pool-store.ts';
import { releaseAccountSlot } from '../../shared/store/rate-limiter.ts';
import type { ActDeps } from './act-deps.ts';
import { type Ready, withPrepared } from './before-call.ts';
import { racesMax, ruleOf, type WrittenRow, waitUntil } from './change-action.ts';
import { callAndSettle, claimAction, comeBackSoon, isTimeFor, slotToken, takeSlot } from './paid-call.ts';

/**
 * A call for several SIMs leaves within this of its slot; the slot counts as used for as long, so that the provider's
 * limit holds however long the claims take.
 */
const leavesWithin = seconds(3);

/** Claims stop here, so that those that were made are still sent in time. */
const claimsFor = seconds(2);

/**
 * Whether an action may share a call: its rule says so of this kind of action, and it was never tried before. One that
 * was goes alone, so that a SIM which spoils a call spoils it once, and its own refusal is clear.
 */
export function goesTogether(action: Action, deps: ActDeps): boolean {
  return simsPerCallOf(action, deps) > 1 && action.attempts === 0;
}

function simsPerCallOf(action: Action, deps: ActDeps): number {
  const rule = ruleOf(action, deps);
  // An action keeps what it buys when its rule is changed.
  if (deps.client.purchaseTogether === null || rule === null || rule.action !== action.kind) return 1;
  return rule.simsPerCall;
}

/**
 * Joins the pool of the action's plan, and takes it to the provider when it is this worker's turn. Each SIM keeps its
 * own claim, lease, reservation, outcome and verification; only the request is shared.
 */
export async function purchaseTogether(own: Ready, deps: ActDeps): Promise<void> {
  const { action } = own.row.value;
  const waiting = withPrepared(own.row, own.prepared);
  // A call for several SIMs may be followed by a question about its order.
  if (!isTimeFor(2, deps)) return void (await comeBackSoon(waiting, deps));
  const place = placeOf(action);
  const simsPerCall = simsPerCallOf(action, deps);
  for (let race = 0; race < racesMax; race++) {
    const pool = await loadPool(deps.table, place);
    const [now, jitter] = [deps.clock(), deps.random.fraction()];
    const joining = joinPool(pool.value, { actionId: action.actionId, simsPerCall, now, jitter });
    if (joining.kind === 'lead') return lead({ own, place, pool, joining }, deps);
    const stored =
      joining.pool === null || (await writePool(deps.table, place, pool, joining.pool)) === 'written';
    if (stored) return waitUntil(waiting, joining.until, 'waits for other SIMs with its plan', deps);
  }
  const soon = after(deps.clock(), milliseconds(1_000 * (1 + deps.random.fraction())));
  return waitUntil(waiting, soon, 'too many workers join the pool at once', deps);
}

/** Only what buys the same for the same rule at the same most may share a request. */
function placeOf({ ruleId, kind, plan, maxCost, subject }: Action): PoolPlace {
  const same = sha256Hex(JSON.stringify([kind, plan, maxCost]));
  return { provider: subject.provider, poolId: `${ruleId}#${same.slice(0, 16)}` };
}

interface Lead {
  readonly own: Ready;
  readonly place: PoolPlace;
  readonly pool: Awaited<ReturnType<typeof loadPool>>;
  readonly joining: Extract<ReturnType<typeof joinPool>, { kind: 'lead' }>;
}

async function lead({ own, place, pool, joining }: Lead, deps: ActDeps): Promise<void> {
  const { action } = own.row.value;
  const waiting = withPrepared(own.row, own.prepared);
  const taken = await deps.inTurn(async () => {
    // Asked again, since the turns before this one took time too. The pool stays as it is for whoever leads next.
    if (!isTimeFor(2, deps)) return comeBackSoon(waiting, deps);
    return { slotAt: deps.clock(), slot: await takeSlot(action, leavesWithin, deps) };
  });
  if (taken === null) return;
  const { slotAt, slot } = taken;
  if (slot.kind === 'wait') {
    // The pool waits for the slot too. Losing this write to another worker is fine: it goes on there.
    await writePool(deps.table, place, pool, poolInLine(joining, slot.until, deps.clock()));
    return waitUntil(waiting, slot.until, slot.why, deps);
  }
  try {
    if ((await writePool(deps.table, place, pool, joining.rest)) === 'conflict') {
      return await waitUntil(waiting, after(deps.clock(), seconds(1)), 'another worker took the pool', deps);
    }
    const claimed = await claimMembers({ own, place, members: joining.members, slotAt }, deps);
    if (claimed.length === 0) {
      // Without this its own action, where the time ran out before its claim, would wait for the sweep.
      return await waitUntil(waiting, after(deps.clock(), seconds(1)), 'no claim was made in time', deps);
    }
    await callAndSettle(claimed, after(slotAt, leavesWithin), deps);
  } finally {
    if (deps.limits.connectionsMax !== null)
      await releaseAccountSlot(deps.table, deps.limits.provider, slotToken(action));
  }
}

interface Members {
  readonly own: Ready;
  readonly place: PoolPlace;
  readonly members: readonly string[];
  readonly slotAt: EpochMs;
}

/** Claims one after the other: they all count in the same caps, and would only stand in each other's way. */
async function claimMembers(
  { own, place, members, slotAt }: Members,
  deps: ActDeps,
): Promise<readonly WrittenRow[]> {
  const claimed: WrittenRow[] = [];
  for (const actionId of members) {
    if (elapsed(slotAt, deps.clock()) > claimsFor) break;
    const ready = actionId === own.row.value.action.actionId ? own : null;
    try {
      const member = ready ?? (await loadMember(actionId, place, deps));
      const running = member === null ? null : await claimInTurn(member, deps);
      if (running !== null) claimed.push(running);
    } catch (error) {
      // Those that are claimed have reserved money and hold their SIMs: without the call they would be in doubt for
      // nothing. The one that failed comes back by itself.
      if (claimed.length === 0) throw error;
      deps.log('warn', 'a claim failed, the call leaves with those before it', {
        actionId,
        error: String(error),
      });
      break;
    }
  }
  return claimed;
}

function claimInTurn({ row, prepared }: Ready, deps: ActDeps): Promise<WrittenRow | null> {
  return deps.inTurn(() => claimAction(row, prepared, deps));
}

/**
 * A member as it stands now, due at once; null when it has moved on, no longer fits, or must be prepared anew: then it
 * comes back at its own due time.
 */
async function loadMember(actionId: string, place: PoolPlace, deps: ActDeps): Promise<Ready | null> {
  const row = await loadAction(deps.table, actionId);
  if (row === null) return null;
  const { action } = row.value;
  const now = deps.clock();
  const { prepared } = action;
  if (action.state.name !== 'planned' || prepared === null || prepared.until <= now) return null;
  if (!goesTogether(action, deps) || placeOf(action).poolId !== place.poolId) return null;
  const due = inState(action, { name: 'planned', dueAt: now }, action.stateSince);
  return { row: { ...row, value: { ...row.value, action: due } }, prepared };
}
