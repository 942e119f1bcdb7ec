import {
  claimVerification,
  expireLease,
  park,
  settleVerification,
  verificationExhausted,
} from '../../shared/core/lifecycle.ts';
import type { Finding } from '../../shared/core/outcome.ts';
import { milliseconds } from '../../shared/core/time.ts';
import { loadAction, replaceAction } from '../../shared/store/action-store.ts';
import type { Versioned } from '../../shared/store/event-store.ts';
import { releaseAccountSlot } from '../../shared/store/rate-limiter.ts';
import type { ActionRow } from '../../shared/store/rows.ts';
import type { ActDeps } from './act-deps.ts';
import { askBefore, confirmClaim, judgedSim, type Ready, withPrepared } from './before-call.ts';
import { change, changeOwned, waitUntil } from './change-action.ts';
import { findPurchase } from './find-purchase.ts';
import { callAndSettle, claimAction, comeBackSoon, isTimeFor, slotToken, takeSlot } from './paid-call.ts';
import { goesTogether, purchaseTogether } from './purchase-together.ts';

/**
 * Works on one action until it has to wait or is over: confirm, prepare, claim, call, settle; or, when the outcome of
 * a call is unknown, ask the provider's records. Throws when the store is down or races are lost: the message then
 * comes again, which is safe, because every step starts from the stored state.
 */
export async function act(actionId: string, deps: ActDeps): Promise<void> {
  const row = await loadAction(deps.table, actionId);
  if (row === null) {
    deps.log('warn', 'message names an action that is not stored', { actionId });
    return;
  }
  const now = deps.clock();
  const { state } = row.value.action;
  switch (state.name) {
    case 'planned':
      return purchase(row, deps);
    case 'running':
      return state.leaseUntil <= now ? expire(row, deps) : undefined;
    case 'unknown':
      return state.verifyAt <= now ? verify(row, deps) : undefined;
    case 'verifying':
      return state.leaseUntil <= now ? verify(row, deps) : undefined;
    case 'held':
    case 'parked':
    case 'succeeded':
    case 'refused':
    case 'cancelled':
      return undefined;
    default: {
      const never: never = state;
      throw new Error(`unknown state: ${JSON.stringify(never)}`);
    }
  }
}

async function purchase(row: Versioned<ActionRow>, deps: ActDeps): Promise<void> {
  if ((await judgedSim(row, deps)) === null) return;
  const confirmed = await confirmClaim(row, deps);
  if (confirmed === null) return;
  const prepared = await askBefore(confirmed, deps);
  if (prepared === null) return;
  const ready = { row: confirmed, prepared };
  if (goesTogether(confirmed.value.action, deps)) return purchaseTogether(ready, deps);
  return purchaseAlone(ready, deps);
}

async function purchaseAlone({ row, prepared }: Ready, deps: ActDeps): Promise<void> {
  const { action } = row.value;
  const waiting = withPrepared(row, prepared);
  let hasSlot = false;
  try {
    const running = await deps.inTurn(async () => {
      // Asked here, since the turns before this one took time too.
      if (!isTimeFor(1, deps)) return comeBackSoon(waiting, deps);
      const slot = await takeSlot(action, milliseconds(0), deps);
      if (slot.kind === 'wait') {
        await waitUntil(waiting, slot.until, slot.why, deps);
        return null;
      }
      hasSlot = true;
      return claimAction(row, prepared, deps);
    });
    if (running !== null) await callAndSettle([running], null, deps);
  } finally {
    if (hasSlot && deps.limits.connectionsMax !== null)
      await releaseAccountSlot(deps.table, deps.limits.provider, slotToken(action));
  }
}

async function expire(row: Versioned<ActionRow>, deps: ActDeps): Promise<void> {
  await change(row, deps, (input) => expireLease(input));
}

async function verify(row: Versioned<ActionRow>, deps: ActDeps): Promise<void> {
  const { action } = row.value;
  const exhausted = verificationExhausted(action, deps.clock());
  if (exhausted !== null) return change(row, deps, (input) => park(input, 'cannot-verify', exhausted, true));
  const verifying = claimVerification(action, deps.lease, deps.clock());
  if ((await replaceAction(deps.table, row, verifying)) === 'conflict') return;
  const finding = await findPurchase(verifying, verifying.sentWindow, deps);
  const settled = await changeOwned(action.actionId, verifying.fence, ['verifying'], deps, (input) =>
    settleVerification(input, finding, deps.profile),
  );
  if (settled.kind === 'order-taken') {
    // The index was late: the order belongs to another action. Ask again once it has caught up.
    const later: Finding = {
      kind: 'unavailable',
      code: 'order-taken',
      message: 'the found order belongs to another action',
      retryAfter: null,
    };
    await changeOwned(action.actionId, verifying.fence, ['verifying'], deps, (input) =>
      settleVerification(input, later, deps.profile),
    );
  }
}
