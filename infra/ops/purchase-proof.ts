import type { Action, LedgerEntry } from '../../shared/core/action.ts';
import { actionIdFor, type Decision } from '../../shared/core/decide.ts';
import { sumLedger } from '../../shared/core/lifecycle.ts';
import { days, durationMs } from '../../shared/core/time.ts';
import { sha256Hex } from '../../shared/platform/digest.ts';
import { callbackOf } from '../../shared/providers/callback.ts';
import { loadAction } from '../../shared/store/action-store.ts';
import { loadEvent, loadEvidence } from '../../shared/store/event-store.ts';
import { orderKey } from '../../shared/store/item-layout.ts';
import { type ActionRow, type EventRow, type Evidence, readRow } from '../../shared/store/rows.ts';
import type { Connection } from './connect.ts';
import type { OpsWorld } from './world.ts';

/** One link of the chain, checked. `unknown`: what it needs is not at hand, and why. */
export interface Check {
  readonly name: string;
  readonly result: 'holds' | 'broken' | 'unknown';
  readonly detail: string;
}

/** The chain of one purchase: what is stored, and what holds when it is computed anew. */
export interface PurchaseProof {
  readonly row: ActionRow;
  readonly event: EventRow | null;
  readonly evidence: { readonly sha256: string; readonly bytes: number; readonly path: string } | null;
  readonly checks: readonly Check[];
}

/** Gathers and checks the chain; null when there is no such action. */
export async function provePurchase(
  connection: Connection,
  actionId: string,
  world: OpsWorld,
): Promise<PurchaseProof | null> {
  const found = await loadAction(connection.table, actionId);
  if (found === null) return null;
  const row = found.value;
  const event = (await loadEvent(connection.table, row.action.eventId))?.value ?? null;
  const evidence = event === null ? null : await loadEvidence(connection.table, event);
  const checks = [
    ...(event === null
      ? [unknown('event', 'the event is older than events are kept (100 days)')]
      : eventChecks(row, event)),
    ...(await evidenceChecks(event, evidence, { connection, world })),
    ledgerCheck(row),
    attemptCheck(row),
    await orderCheck(row, connection),
  ];
  const shown =
    evidence === null
      ? null
      : { sha256: sha256Hex(evidence.body), bytes: evidence.body.byteLength, path: evidence.path };
  return { row, event, evidence: shown, checks };
}

function eventChecks(row: ActionRow, { event, decisions }: EventRow): readonly Check[] {
  const { action } = row;
  // Only the rule's name enters the id, so a rule that is gone since can still be checked.
  const expected = actionIdFor(action, {
    event,
    generation: action.generation,
    digest: sha256Hex,
  });
  return [
    check('action id', expected === action.actionId, {
      holds: `it is the digest of rule ${action.ruleId}, event ${event.eventId} and generation ${action.generation}`,
      broken: `rule, event and generation give ${expected}`,
    }),
    action.generation > 1 ? operatorCheck(row) : decisionCheck(action, decisions),
    check('SIM', event.subject?.key === action.subject.key, {
      holds: `event and action name ${action.subject.key}`,
      broken: `the event names ${event.subject?.key ?? 'none'}, the action ${action.subject.key}`,
    }),
  ];
}

function decisionCheck(action: Action, decisions: readonly Decision[]): Check {
  const verdict = decisions.find(({ verdicts }) =>
    verdicts.some((each) => each.verdict === 'act' && each.actionId === action.actionId),
  );
  const version = verdict?.policyVersion ?? '';
  return check('decision', verdict !== undefined && version === action.policyVersion, {
    holds: `rules ${version} made this action of the event`,
    broken:
      verdict === undefined
        ? 'no stored decision of the event made this action'
        : `decided by rules ${version}, but the action names ${action.policyVersion}`,
  });
}

/** No rule makes a second generation: a human did, and said why. */
function operatorCheck({ action, notes }: ActionRow): Check {
  const before = actionIdFor(action, {
    event: action,
    generation: action.generation - 1,
    digest: sha256Hex,
  });
  const order = notes.find(({ did }) => did === `bought again after ${before}`);
  return check('decision', order !== undefined, {
    holds: `${order?.by} bought ${before} again: ${order?.reason}`,
    broken: `it is generation ${action.generation}, but no operator's note says who bought ${before} again`,
  });
}

async function evidenceChecks(
  event: EventRow | null,
  evidence: Evidence | null,
  parts: { readonly connection: Connection; readonly world: OpsWorld },
): Promise<readonly Check[]> {
  if (event === null) return [];
  const { proof, provider, callbackId } = event.event;
  if (proof.kind === 'reconciled')
    return [unknown('callback', `no callback: found by reconciliation (${proof.source})`)];
  if (evidence === null)
    return [unknown('callback bytes', 'the callback is older than evidence is kept (100 days)')];
  const expected = `cbk_${sha256Hex(`${provider}\n${sha256Hex(evidence.body)}`).slice(0, 32)}`;
  return [
    check('callback bytes', expected === callbackId, {
      holds: `SHA-256 of the ${evidence.body.byteLength} stored bytes gives the callback id ${callbackId}`,
      broken: `the stored bytes give ${expected}, but the event names ${callbackId}`,
    }),
    await signatureCheck(event, evidence, parts),
  ];
}

/** Checks the signature again with the secrets at hand, as of the moment it was received. */
async function signatureCheck(
  { event }: EventRow,
  evidence: Evidence,
  { connection, world }: { readonly connection: Connection; readonly world: OpsWorld },
): Promise<Check> {
  const name = 'signature';
  if (event.proof.kind === 'unsigned') {
    return unknown(
      name,
      `the callback came unsigned (${event.proof.why}); the provider had to confirm it before money moved`,
    );
  }
  const side = world.providers.find(({ id }) => id === event.provider)?.callbacks;
  const entry = connection.stage.providers.find(({ id }) => id === event.provider);
  const { keys } = await connection.secrets.read(event.provider, 'callback');
  if (!side || !entry) return unknown(name, `the stage has no provider ${event.provider}`);
  if (keys.length === 0) return unknown(name, `no callback secret of ${event.provider} at hand`);
  const { maxAge, maxFuture } = entry.callbacks.verification;
  const { body, headers } = evidence;
  const verdict = side.verify(callbackOf(body, headers), keys, {
    now: event.receivedAt,
    variants: null,
    // Its age was judged when it came; here only the signature matters, and clocks may have been set since.
    maxAge: durationMs(maxAge + days(1)),
    maxFuture: durationMs(maxFuture + days(1)),
  });
  if (verdict.ok)
    return {
      name,
      result: 'holds',
      detail: `good under key ${verdict.keyIndex + 1}, variant ${verdict.variant}`,
    };
  const rotated = verdict.reason === 'wrong-signature' || verdict.reason === 'unknown-key';
  return rotated
    ? unknown(
        name,
        `none of the ${keys.length} present keys fits (${verdict.reason}): was the secret rotated since? It was good when received: ${event.proof.kind === 'signed' ? event.proof.variant : ''}`,
      )
    : { name, result: 'broken', detail: `${verdict.reason}: ${verdict.detail}` };
}

function ledgerCheck({ action }: ActionRow): Check {
  const sum = sumLedger(action.ledger, action.money.currency);
  const same =
    sum.reservedMinor === action.money.reservedMinor &&
    sum.chargedMinor === action.money.chargedMinor &&
    sum.refundedMinor === action.money.refundedMinor;
  return check('ledger', same, {
    holds: `${action.ledger.length} bookings add up to the action's sums`,
    broken: `the bookings add up to ${JSON.stringify(sum)}, the action says ${JSON.stringify(action.money)}`,
  });
}

/** One reservation at most became a charge, and each other one was given back: that is "bought once". */
function attemptCheck({ action }: ActionRow): Check {
  const { reserved, released, purchases, open } = countReservations(action.ledger);
  return check('bought once', purchases <= 1 && open <= 1 && reserved === purchases + released + open, {
    holds: `${reserved} reservations: ${purchases} charged, ${released} released, ${open} open`,
    broken: `${reserved} reservations, but ${purchases} charged, ${released} released and ${open} open`,
  });
}

export interface Reservations {
  readonly reserved: number;
  readonly released: number;
  /** Reservations that became a charge; a later correction of the price is no further purchase. */
  readonly purchases: number;
  readonly open: number;
}

/** Follows the reservations of a ledger, oldest booking first. */
export function countReservations(ledger: readonly LedgerEntry[]): Reservations {
  const count = { reserved: 0, released: 0, purchases: 0, open: 0 };
  for (const { kind } of ledger) {
    if (kind === 'reserved') {
      count.reserved += 1;
      count.open += 1;
    } else if (kind === 'released') {
      count.released += 1;
      count.open -= 1;
    } else if (kind === 'charged' && count.open > 0) {
      count.purchases += 1;
      count.open -= 1;
    }
  }
  return count;
}

async function orderCheck({ action }: ActionRow, { table }: Connection): Promise<Check> {
  const name = "provider's order";
  if (action.state.name !== 'succeeded') return unknown(name, `the action is ${action.state.name}`);
  const { providerOrderId, adopted } = action.state;
  if (providerOrderId === null) return unknown(name, 'the provider named no order');
  const how = adopted ? 'found in its records' : 'named in its answer';
  if (providerOrderId === action.targetOrderId) {
    return {
      name,
      result: 'holds',
      detail: `${providerOrderId}, extended; the order belongs to the action that placed it`,
    };
  }
  const item = await table.get(orderKey(action.subject.provider, providerOrderId));
  const tied = item === null ? null : readRow('orderTie', item).actionId;
  return check(name, tied === action.actionId, {
    holds: `${providerOrderId}, ${how}, is tied to this action alone`,
    broken: `${providerOrderId} is tied to ${tied ?? 'no action'}`,
  });
}

function check(
  name: string,
  holds: boolean,
  text: { readonly holds: string; readonly broken: string },
): Check {
  return holds
    ? { name, result: 'holds', detail: text.holds }
    : { name, result: 'broken', detail: text.broken };
}

function unknown(name: string, detail: string): Check {
  return { name, result: 'unknown', detail };
}
