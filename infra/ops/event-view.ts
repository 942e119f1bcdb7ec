import type { Decision } from '../../shared/core/decide.ts';
import type { EventFacts, WebhookEvent } from '../../shared/core/webhook-event.ts';
import type { EventRow } from '../../shared/store/rows.ts';
import { isoMoment } from './notation.ts';

/** The telling part of what an event says: `usage-alert low-data`. */
export function factsText(facts: EventFacts): string {
  switch (facts.kind) {
    case 'usage-alert':
      return `${facts.kind} ${facts.alert}`;
    case 'order-status':
      return `${facts.kind} ${facts.status}`;
    case 'plan-reminder':
      return `${facts.kind} ${facts.warning}`;
    case 'sim-status':
      return `${facts.kind} ${facts.status}`;
    case 'refund':
      return facts.refundedText === null ? facts.kind : `${facts.kind} ${facts.refundedText}`;
    case 'async-result':
      return facts.operation === null ? facts.kind : `${facts.kind} ${facts.operation}`;
    default:
      return facts.kind;
  }
}

/** How it was proven: the variant, or why there is no signature. */
export function proofText(event: WebhookEvent): string {
  return event.proof.kind === 'signed' ? `signed ${event.proof.variant}` : event.proof.kind;
}

/** What the rules made of it, in a few words. The last judgement counts. */
export function decisionText(decisions: readonly Decision[]): string {
  const decision = decisions.at(-1);
  if (decision === undefined) return 'not decided yet';
  const act = decision.verdicts.find((verdict) => verdict.verdict === 'act');
  if (act?.verdict === 'act') return `${act.ruleId} → ${act.actionId}`;
  const own = decision.ownActionId === null ? '' : `reports on ${decision.ownActionId}`;
  const near = decision.verdicts.find(
    (verdict) => verdict.verdict === 'pass' && verdict.reason !== 'no-match',
  );
  if (near?.verdict === 'pass') return `${own === '' ? '' : `${own}; `}${near.ruleId}: ${near.reason}`;
  return own === '' ? 'no rule asks for anything' : own;
}

/** An event for machines, without its evidence. */
export function eventJson(row: EventRow): object {
  const { event, state, decisions, sweeps } = row;
  return {
    ...event,
    receivedAt: isoMoment(event.receivedAt),
    occurredAt: isoMoment(event.occurredAt),
    state,
    sweeps,
    decisions: decisions.map((decision) => ({ ...decision, decidedAt: isoMoment(decision.decidedAt) })),
  };
}
