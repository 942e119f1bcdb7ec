import type { EpochMs } from '../../shared/core/time.ts';
import type { MetricLine } from '../../shared/platform/metrics.ts';
import type { ReceiveNotice } from './receive.ts';

/** What one answered request adds to the figures. Requests to unknown paths add none: they cost enough already. */
export function receiveFigures(notice: ReceiveNotice, at: EpochMs): readonly MetricLine[] {
  const { provider, status, events, duplicates } = notice;
  if (provider === null) return [];
  const count = (name: string, value: number) => ({ name, value, unit: 'Count' as const });
  if (status !== 200) {
    const name = status === 401 ? 'SignatureFailures' : 'RejectedCallbacks';
    return [{ at, dimensions: { provider }, values: [count(name, 1)] }];
  }
  const kinds = Map.groupBy(events, (event) => event.facts.kind);
  return [
    { at, dimensions: { provider }, values: [count('Callbacks', 1), count('Duplicates', duplicates)] },
    ...[...kinds].map(
      ([kind, ofKind]): MetricLine => ({
        at,
        dimensions: { provider, kind },
        values: [count('Events', ofKind.length)],
      }),
    ),
  ];
}
