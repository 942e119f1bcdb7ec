import type { Decided } from '../../shared/core/decide.ts';
import type { EpochMs } from '../../shared/core/time.ts';
import type { WebhookEvent } from '../../shared/core/webhook-event.ts';
import type { MetricLine } from '../../shared/platform/metrics.ts';

/** What one decision adds to the figures. Times count from the callback, so the queue is in them. */
export function decideFigures(event: WebhookEvent, decided: Decided, at: EpochMs): readonly MetricLine[] {
  const { provider } = event;
  return [
    {
      at,
      dimensions: { provider },
      values: [
        { name: 'Decisions', value: 1, unit: 'Count' },
        { name: 'ActionsPlanned', value: decided.actions.length, unit: 'Count' },
        { name: 'TimeToDecide', value: Math.max(0, at - event.receivedAt), unit: 'Milliseconds' },
      ],
    },
  ];
}
