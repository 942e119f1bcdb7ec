import type { Decision } from '../core/decide.ts';
import type { EpochMs } from '../core/time.ts';
import type { WebhookEvent } from '../core/webhook-event.ts';
import type { Log, LogFields } from './log.ts';
import type { MetricLine } from './metrics.ts';

/** What the log tells of a decision, whoever made it: receive or decide. */
export function decisionFields(event: WebhookEvent, decision: Decision): LogFields {
  const act = decision.verdicts.find((verdict) => verdict.verdict === 'act');
  return {
    eventId: event.eventId,
    provider: event.provider,
    kind: event.facts.kind,
    correlationId: event.correlationId,
    policyVersion: decision.policyVersion,
    actionId: act?.actionId ?? null,
    verdicts: decision.verdicts.map((v) => `${v.ruleId}:${v.verdict === 'act' ? 'act' : v.reason}`).join(' '),
  };
}

/** What a decision adds to the figures. Times count from the callback, so the queue is in them. */
export function decisionFigures(event: WebhookEvent, { verdicts }: Decision, at: EpochMs): MetricLine {
  const acts = verdicts.filter(({ verdict }) => verdict === 'act').length;
  return {
    at,
    dimensions: { provider: event.provider },
    values: [
      { name: 'Decisions', value: 1, unit: 'Count' },
      { name: 'ActionsPlanned', value: acts, unit: 'Count' },
      { name: 'TimeToDecide', value: Math.max(0, at - event.receivedAt), unit: 'Milliseconds' },
    ],
  };
}

/** Tells a decision to the log and the figures. */
export function logDecision(event: WebhookEvent, decision: Decision, log: Log): void {
  log('info', 'event decided', decisionFields(event, decision), (at) => [
    decisionFigures(event, decision, at),
  ]);
}
