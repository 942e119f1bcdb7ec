import {
  Dashboard,
  GraphWidget,
  type IMetric,
  MathExpression,
  SingleValueWidget,
  Stats,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import { days, minutes } from '../../shared/core/time.ts';
import type { AlarmProps } from './alarms.ts';
import { figuresOf } from './figures.ts';
import { toDuration } from './units.ts';

/** One look, four questions: is it receiving, is it keeping up, is it buying, what does it cost. */
export function addDashboard(scope: Construct, props: AlarmProps): void {
  const dashboard = new Dashboard(scope, 'Dashboard', { dashboardName: `simhook-${props.stage.name}` });
  dashboard.addWidgets(...receiving(props));
  dashboard.addWidgets(...keepingUp(props));
  dashboard.addWidgets(...buying(props));
  dashboard.addWidgets(...costing(props));
}

const graph = (title: string, left: IMetric[], width = 8): GraphWidget =>
  new GraphWidget({ title, left, width, height: 6 });

function receiving({ stage, service }: AlarmProps) {
  const figure = figuresOf(stage.name);
  const ids = stage.providers.map(({ id }) => id);
  return [
    graph(
      'Receiving: callbacks',
      ids.map((provider) => figure('Callbacks', { provider }).with({ label: provider })),
    ),
    graph('Receiving: not proven, and 5xx', [
      ...ids.map((provider) =>
        figure('SignatureFailures', { provider }).with({ label: `${provider} not proven` }),
      ),
      service.callbackApi.stage.metricServerError({ label: '5xx', statistic: Stats.SUM }),
    ]),
    graph('Receiving: time to answer, p99', [
      service.callbackApi.stage.metricLatency({ label: 'answered', statistic: Stats.p(99) }),
    ]),
  ];
}

function keepingUp({ stage, state }: AlarmProps) {
  const figure = figuresOf(stage.name);
  const oldest = { statistic: Stats.MAXIMUM, period: toDuration(minutes(5)) };
  const queues = [
    ['events', state.events] as const,
    ...[...state.providers].map(([provider, { actions }]) => [provider, actions] as const),
  ];
  return [
    graph(
      'Keeping up: oldest message, seconds',
      queues.map(([label, { queue }]) => queue.metricApproximateAgeOfOldestMessage({ ...oldest, label })),
    ),
    graph(
      'Keeping up: dead letters',
      queues.map(([label, { dead }]) => dead.metricApproximateNumberOfMessagesVisible({ ...oldest, label })),
    ),
    graph('Keeping up: sweeps, and oldest work that is due (ms)', [
      figure('Sweeps', {}).with({ label: 'sweeps' }),
      figure('OldestDueWork', {}, Stats.MAXIMUM).with({ label: 'oldest due' }),
    ]),
  ];
}

function buying({ stage }: AlarmProps) {
  const figure = figuresOf(stage.name);
  const outcomes = ['succeeded', 'refused', 'unknown', 'parked'] as const;
  return stage.providers.map(({ id: provider }) =>
    graph(
      `Buying at ${provider}`,
      outcomes.map((outcome) => figure('Actions', { provider, outcome }).with({ label: outcome })),
      Math.max(6, Math.floor(24 / stage.providers.length)),
    ),
  );
}

function costing({ stage }: AlarmProps) {
  const figure = figuresOf(stage.name);
  return stage.policy.providers.map(
    ({ provider, currency }) =>
      new SingleValueWidget({
        title: `Spent at ${provider} today`,
        width: 8,
        height: 3,
        metrics: [
          new MathExpression({
            expression: 'minor / 100',
            label: currency,
            period: toDuration(days(1)),
            usingMetrics: {
              minor: figure('SpendMinor', { provider, currency }, Stats.SUM, toDuration(days(1))),
            },
          }),
        ],
      }),
  );
}
