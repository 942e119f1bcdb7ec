import type { EpochMs } from '../../shared/core/time.ts';
import type { MetricLine } from '../../shared/platform/metrics.ts';
import type { ReconcileResult } from './reconcile.ts';

/** What one run adds to the figures: a line per provider. A provider without a list of orders adds none. */
export function reconcileFigures(result: ReconcileResult, at: EpochMs): readonly MetricLine[] {
  return result.providers
    .filter((run) => run.end !== 'no-list')
    .map(({ provider, end, ...run }) => {
      const count = (name: string, value: number) => ({ name, value, unit: 'Count' as const });
      return {
        at,
        dimensions: { provider },
        values: [
          count('ReconciledSims', run.sims),
          count('FindingsOpened', run.opened),
          count('MissedCallbacks', run.events),
          count('LedgerCorrections', run.booked),
          count('ReconcileFailures', end === 'failed' || end === 'provider-unavailable' ? 1 : 0),
        ],
      };
    });
}
