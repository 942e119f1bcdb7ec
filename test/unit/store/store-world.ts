import type { Action } from '../../../shared/core/action.ts';
import { decide } from '../../../shared/core/decide.ts';
import { claim } from '../../../shared/core/lifecycle.ts';
import type { ProviderPolicy, Rule } from '../../../shared/core/policy.ts';
import type { EpochMs } from '../../../shared/core/time.ts';
import type { WebhookEvent } from '../../../shared/core/webhook-event.ts';
import { loadAction, type TransitionResult, writeTransition } from '../../../shared/store/action-store.ts';
import { loadEvent, loadSim, recordCallback, writeDecision } from '../../../shared/store/event-store.ts';
import { openSqliteTable, type SqliteTable } from '../../../shared/store/sqlite-table.ts';
import type { Table } from '../../../shared/store/table.ts';
import { digest, event, given, lease, noon, policy, providerPolicy, rule, subject } from '../core/samples.ts';

export const openTable = (): SqliteTable => openSqliteTable({ path: ':memory:', now: () => noon });

const evidence = { body: new Uint8Array([1, 2, 3]), headers: {}, path: '/callbacks/eiotclub' };

export const eventIdOf = (n: number): string => `evt_${digest(String(n)).slice(0, 32)}`;

/** The n-th event, each for a SIM of its own unless `iccid` names one. */
export function eventOf(n: number, iccid = `8985200026332081${String(n).padStart(4, '0')}`): WebhookEvent {
  return event({ eventId: eventIdOf(n), subject: subject(iccid), correlationId: `cor_${n}` });
}

export async function record(table: Table, ...events: readonly WebhookEvent[]): Promise<readonly string[]> {
  const now = events[0]?.receivedAt ?? noon;
  return recordCallback(table, { callbackId: `cbk_${events[0]?.eventId}`, evidence, events, now });
}

/** Decides a stored event as functions/decide would, on what it reads now. */
export async function decideNow(
  table: Table,
  eventId: string,
  rules: readonly Rule[] = [rule()],
): Promise<{ readonly result: 'written' | 'conflict'; readonly actions: readonly Action[] }> {
  const row = await loadEvent(table, eventId);
  const key = row?.value.event.subject?.key;
  if (!row || !key) throw new Error(`${eventId} is not stored`);
  const sim = await loadSim(table, key);
  const decided = decide(given({ event: row.value.event, sim: sim.value, policy: policy(rules) }));
  const next = decided.sim === null ? null : { value: decided.sim, version: sim.version };
  const result = await writeDecision(table, {
    event: row,
    decision: decided.decision,
    actions: decided.actions,
    sim: next,
  });
  return { result, actions: decided.actions };
}

/** An action that is stored and planned. */
export async function plannedAction(table: Table, n: number, rules?: readonly Rule[]): Promise<Action> {
  await record(table, eventOf(n));
  const [action] = (await decideNow(table, eventIdOf(n), rules)).actions;
  if (action === undefined) throw new Error(`event ${n} made no action`);
  return action;
}

/** Claims a stored action as functions/act would, on what it reads now. */
export async function claimNow(
  table: Table,
  actionId: string,
  now: EpochMs = noon,
  limits: { readonly provider?: Partial<ProviderPolicy>; readonly rule?: Partial<Rule> } = {},
): Promise<TransitionResult> {
  const row = await loadAction(table, actionId);
  if (row === null) throw new Error(`${actionId} is not stored`);
  const sim = await loadSim(table, row.value.action.subject.key);
  const transition = claim(row.value.action, sim.value, lease, now);
  const caps = {
    provider: providerPolicy(limits.provider),
    rule: rule(limits.rule),
    hour: new Date(now).toISOString().slice(11, 13),
  };
  return writeTransition(table, { row, sim, transition, caps });
}
