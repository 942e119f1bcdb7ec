import { Alarm, ComparisonOperator, type IMetric, Stats, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { FilterPattern, MetricFilter } from 'aws-cdk-lib/aws-logs';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import type { ProviderPolicy } from '../../shared/core/policy.ts';
import { days, hours, minutes } from '../../shared/core/time.ts';
import { metricNamespace } from '../../shared/platform/metrics.ts';
import type { Stage } from '../../shared/policy/stage.ts';
import type { Deployment } from './deployment.ts';
import { figuresOf } from './figures.ts';
import { actName, type ServiceStack } from './service-stack.ts';
import type { StateStack } from './state-stack.ts';
import { pascal, toDuration } from './units.ts';

export interface AlarmProps {
  readonly stage: Stage;
  readonly deployment: Deployment;
  readonly state: StateStack;
  readonly service: ServiceStack;
}

/** One reason to wake someone. The reason says what is wrong, why at this figure, and what to look at. */
interface Watched {
  readonly id: string;
  readonly reason: string;
  readonly metric: IMetric;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** Periods in a row; default 1. */
  readonly periods?: number;
  /** Silence is itself the fault. */
  readonly missingIsBad?: boolean;
}

/** Alarms of the whole stage and of each provider, with the topic of the deployment where it names one. */
export function addAlarms(scope: Construct, props: AlarmProps): void {
  const folder = new Construct(scope, 'Alarms');
  const { alarmTopicArn } = props.deployment;
  const topic = alarmTopicArn === null ? null : Topic.fromTopicArn(folder, 'Topic', alarmTopicArn);
  const watched = [
    ...wholeStage(props),
    ...functionFaults(props),
    ...props.stage.policy.providers.flatMap((policy) => [
      ...providerWork(policy.provider, props),
      ...providerCalls(policy, props, folder),
    ]),
  ];
  for (const { id, reason, metric, atLeast, atMost, periods = 1, missingIsBad = false } of watched) {
    const alarm = new Alarm(folder, id, {
      alarmDescription: reason,
      metric,
      threshold: atLeast ?? atMost ?? 0,
      comparisonOperator:
        atLeast === undefined
          ? ComparisonOperator.LESS_THAN_OR_EQUAL_TO_THRESHOLD
          : ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      evaluationPeriods: periods,
      treatMissingData: missingIsBad ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
    });
    if (topic !== null) alarm.addAlarmAction(new SnsAction(topic));
  }
}

const fiveMinutes = toDuration(minutes(5));

function wholeStage({ stage, state, service }: AlarmProps): readonly Watched[] {
  const figure = figuresOf(stage.name);
  return [
    {
      id: 'EventsWait',
      reason:
        'Events wait over 5 minutes to be judged: decide fails or is out of concurrency. Nothing is lost, but renewals are late. Look at the log of decide.',
      metric: state.events.queue.metricApproximateAgeOfOldestMessage({
        period: fiveMinutes,
        statistic: Stats.MAXIMUM,
      }),
      atLeast: 300,
      periods: 2,
    },
    {
      id: 'EventsDead',
      reason:
        'An event failed 5 times. The sweep brings it back, but a fault that is always there needs a human. Look at the log of decide for "message failed".',
      metric: state.events.dead.metricApproximateNumberOfMessagesVisible({
        period: fiveMinutes,
        statistic: Stats.MAXIMUM,
      }),
      atLeast: 1,
    },
    {
      id: 'SweepStopped',
      reason:
        'The sweep ran less than 3 times in 5 minutes (it is due 5 times) or not at all: lost messages and due retries are not picked up any more. Look at the schedule and the log of sweep.',
      metric: figure('Sweeps', {}),
      atMost: 2,
      periods: 2,
      missingIsBad: true,
    },
    {
      id: 'ScheduleDead',
      reason: 'The scheduler could not start a run at all: its role or the function is broken.',
      metric: state.scheduleDead.metricApproximateNumberOfMessagesVisible({
        period: fiveMinutes,
        statistic: Stats.MAXIMUM,
      }),
      atLeast: 1,
    },
    {
      id: 'WorkOverdue',
      reason:
        'Work has been due for over 15 minutes and is not done, though the sweep queued it again: workers fail. The sweep looks at stuck work each half hour at the latest, hence one period of 40 minutes.',
      metric: figure('OldestDueWork', {}, Stats.MAXIMUM, toDuration(minutes(40))),
      atLeast: minutes(15),
    },
    {
      id: 'ActionsOrphaned',
      reason:
        'Open actions belong to a provider that the stage does not have any more: nobody works on them. Put the provider back without enabled rules until they are settled.',
      metric: figure('OrphanedActions', {}, Stats.MAXIMUM),
      atLeast: 1,
    },
    {
      id: 'HeldLong',
      reason:
        'An action has waited over 4 hours for approval, because its rule asks for it or a breaker held the SIM back. Notices come about a day before a plan ends, so most of that day is still left. Look with npx simhook actions --state held, then action approve or action cancel.',
      metric: figure('OldestHeld', {}, Stats.MAXIMUM),
      atLeast: hours(4),
    },
    {
      id: 'ProvidersSilent',
      reason:
        'A provider has been silent for longer than its own usual gap, as the sweep learned it: the provider may have switched the address off. The log of sweep names it.',
      metric: figure('SilentProviders', {}, Stats.MAXIMUM),
      atLeast: 1,
    },
    {
      id: 'CallbacksNotTaken',
      reason:
        'At least 5 callbacks in 5 minutes were answered 5xx: the table, a secret or the function fails. Providers repeat for a while, then give up. Look at the log of receive.',
      metric: service.callbackApi.stage.metricServerError({ period: fiveMinutes, statistic: Stats.SUM }),
      atLeast: 5,
    },
    {
      id: 'ReceiveThrottled',
      reason:
        'Lambda had no room to start receive: the account’s concurrency is used up. Providers get 5xx. Ask for a higher quota.',
      metric: service.receive.fn.metricThrottles({ period: fiveMinutes, statistic: Stats.SUM }),
      atLeast: 1,
    },
  ];
}

/** A function that throws or runs out of time: each handler catches what it expects, so that one is one too many. */
function functionFaults({ service }: AlarmProps): readonly Watched[] {
  const functions = [
    ['Receive', service.receive],
    ['Decide', service.decide],
    ['Sweep', service.sweep],
    ...[...service.act].map(([provider, act]) => [`Act${pascal(provider)}`, act] as const),
    ...[...service.reconcile].map(([provider, fn]) => [`Reconcile${pascal(provider)}`, fn] as const),
  ] as const;
  return functions.map(([name, { fn }]) => ({
    id: `${name}Fails`,
    reason: `${name} threw, ran out of time or could not start, in two periods of 5 minutes in a row. Each handler catches what it expects, so this is a fault of set-up or code. Look at its log.`,
    metric: fn.metricErrors({ period: fiveMinutes, statistic: Stats.SUM }),
    atLeast: 1,
    periods: 2,
  }));
}

/** A provider's queue and callbacks. */
function providerWork(provider: string, { stage, deployment, state }: AlarmProps): readonly Watched[] {
  const figure = figuresOf(stage.name);
  const its = state.providers.get(provider);
  if (its === undefined) throw new Error(`the state stack has nothing of ${provider}`);
  const gapHours = Math.round((deployment.silence[provider] ?? hours(24)) / hours(1));
  const id = pascal(provider);
  return [
    {
      id: `ActionsWait${id}`,
      reason: `Actions at ${provider} wait over 15 minutes for a worker: its limits are used up or act fails. Look at its log and at the provider.`,
      metric: its.actions.queue.metricApproximateAgeOfOldestMessage({
        period: fiveMinutes,
        statistic: Stats.MAXIMUM,
      }),
      atLeast: 900,
      periods: 2,
    },
    {
      id: `ActionsDead${id}`,
      reason: `An action at ${provider} failed 5 times outside its own states. The sweep brings it back, but a fault that is always there needs a human.`,
      metric: its.actions.dead.metricApproximateNumberOfMessagesVisible({
        period: fiveMinutes,
        statistic: Stats.MAXIMUM,
      }),
      atLeast: 1,
    },
    {
      id: `SignatureFailures${id}`,
      reason: `10 callbacks of ${provider} failed their proof within 15 minutes: a key was changed on one side only, or someone forges. One now and then is noise. Try npx simhook explain.`,
      metric: figure('SignatureFailures', { provider }, Stats.SUM, toDuration(minutes(15))),
      atLeast: 10,
    },
    {
      id: `Silent${id}`,
      reason: `No callback of ${provider} for ${gapHours} hours, longer than usual (aws.silence in the stage): the provider may have switched the address off. Also on until the first callback ever.`,
      metric: figure('Callbacks', { provider }, Stats.SUM, toDuration(hours(1))),
      atMost: 0,
      periods: gapHours,
      missingIsBad: true,
    },
  ];
}

/** What the calls to a provider show, and what they cost. */
function providerCalls(
  policy: ProviderPolicy,
  { stage, state }: AlarmProps,
  scope: Construct,
): readonly Watched[] {
  const { provider, currency } = policy;
  const figure = figuresOf(stage.name);
  const id = pascal(provider);
  const logs = state.logs.get(actName(provider));
  if (logs === undefined) throw new Error(`the state stack made no log group of ${provider}`);
  const stopped = new MetricFilter(scope, `Stopped${id}Filter`, {
    logGroup: logs,
    // The fixed phrase of functions/act/provider-health.ts.
    filterPattern: FilterPattern.stringValue('$.message', '=', 'provider stopped: it refuses in a row'),
    metricNamespace,
    metricName: `ProviderStopped-${stage.name}-${provider}`,
    metricValue: '1',
  });
  const spendCap = policy.caps.dayMinor;
  return [
    {
      id: `Stopped${id}`,
      reason: `${provider} refused ${policy.refusalsInARow} paid calls in a row, so simhook stopped buying there: an empty wallet, a locked account or a wrong key.`,
      metric: stopped.metric({ period: fiveMinutes, statistic: Stats.SUM }),
      atLeast: 1,
    },
    {
      id: `Parked${id}`,
      reason: `An action at ${provider} is parked and waits for a human: a cap, a price, or an outcome that can not be told. List such actions with npx simhook.`,
      metric: figure('Actions', { provider, outcome: 'parked' }),
      atLeast: 1,
    },
    {
      id: `Findings${id}`,
      reason: `The order records of ${provider} and the ledger differ in a way that was not known before: an order that nobody asked for, a refund, or one that is missing. List findings with npx simhook.`,
      metric: figure('FindingsOpened', { provider }, Stats.SUM, toDuration(hours(1))),
      atLeast: 1,
    },
    {
      id: `UnknownLong${id}`,
      reason: `Whether a paid call to ${provider} was carried out has been unknown for over an hour. The SIM is locked until it is known. List such actions with npx simhook.`,
      metric: figure('UnknownAge', { provider }, Stats.MAXIMUM),
      atLeast: 3_600,
    },
    ...(spendCap === null
      ? []
      : [
          {
            id: `Spend${id}`,
            reason: `Today's spend at ${provider} reached 80 % of its day cap of ${spendCap} minor units of ${currency}: at the cap, actions are parked.`,
            metric: figure('SpendMinor', { provider, currency }, Stats.SUM, toDuration(days(1))),
            atLeast: Math.floor(spendCap * 0.8),
          },
        ]),
  ];
}
