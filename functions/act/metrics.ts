import type { Action } from '../../shared/core/action.ts';
import { type EpochMs, elapsed } from '../../shared/core/time.ts';
import type { MetricLine } from '../../shared/platform/metrics.ts';

/** What an action's new state adds to the figures. */
export function actFigures(action: Action, at: EpochMs): readonly MetricLine[] {
  const { state, money, sentWindow } = action;
  const { provider } = action.subject;
  const lines: MetricLine[] = [
    {
      at,
      dimensions: { provider, outcome: state.name },
      values: [{ name: 'Actions', value: 1, unit: 'Count' }],
    },
  ];
  if (state.name === 'succeeded' && money.chargedMinor > 0) {
    lines.push({
      at,
      dimensions: { provider, currency: money.currency },
      values: [{ name: 'SpendMinor', value: money.chargedMinor, unit: 'None' }],
    });
  }
  if (state.name === 'unknown' && sentWindow !== null) {
    const ageSec = Math.round(elapsed(sentWindow.first, at) / 1_000);
    lines.push({
      at,
      dimensions: { provider },
      values: [{ name: 'UnknownAge', value: ageSec, unit: 'Seconds' }],
    });
  }
  if (state.name === 'succeeded' || state.name === 'refused') {
    const settleSec = Math.round(elapsed(action.createdAt, at) / 1_000);
    lines.push({
      at,
      dimensions: { provider },
      values: [{ name: 'TimeToSettle', value: settleSec, unit: 'Seconds' }],
    });
  }
  return lines;
}
