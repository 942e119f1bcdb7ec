import { Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import { minutes } from '../../shared/core/time.ts';
import { metricNamespace } from '../../shared/platform/metrics.ts';
import { toDuration } from './units.ts';

/** Figures of one stage, as the functions write them (functions/<name>/metrics.ts). */
export function figuresOf(stage: string) {
  return (
    name: string,
    dimensions: Readonly<Record<string, string>>,
    statistic: string = Stats.SUM,
    period = toDuration(minutes(5)),
  ): Metric =>
    new Metric({
      namespace: metricNamespace,
      metricName: name,
      dimensionsMap: { stage, ...dimensions },
      statistic,
      period,
    });
}
